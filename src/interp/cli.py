"""The command line: it parses, calls and shows. Nothing heavy is imported until a command needs it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from interp import __version__
from interp.errors import ConfigError, InterpError
from interp.ranks import is_first, n_started
from interp.terminal import console, progress, quiet_libraries, say, show_own_warnings, table_of
from interp.threads import wait_asleep

if TYPE_CHECKING:
    from interp.experiments.demonstrations import Demonstration
    from interp.runs import Elsewhere

app = App(
    name="interp",
    help="Look inside transformer language models.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a mistake of the user's ends in one line on stderr and exit code 2."""
    wait_asleep()
    with warnings.catch_warnings():
        show_own_warnings()
        _run(arguments)


def _run(arguments: Sequence[str] | None) -> None:
    try:
        app(sys.argv[1:] if arguments is None else arguments, exit_on_error=False, print_error=False)
    except (InterpError, CycloptsError) as error:
        say("error", str(error), "red")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command
def run(
    experiment: str,
    /,
    *,
    config: Path | None = None,
    model: str | None = None,
    backend: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int | None = None,
    tag: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative=())] = None,
    out: Path = Path("outputs"),
    force: Annotated[bool, Parameter(negative=())] = False,
    on: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    gpus_per_worker: float | None = None,
    gpu_memory: float | None = None,
) -> None:
    """Run an experiment and keep its numbers, configuration, figure and report in a folder.

    Parameters
    ----------
    experiment
        Its name; `interp experiments` lists them.
    config
        A YAML file with its configuration; without one, its own defaults on the demo model.
    model
        A short name, a Hugging Face id or a folder; `interp models` lists the names.
    backend
        transformers, transformer_lens or nnsight.
    device
        auto, cpu, cuda, mps, ...
    dtype
        float32, float64, bfloat16 or float16.
    seed
        For everything that is drawn at random.
    tag
        The run's name; by default the model and the time.
    set_
        Any key of the configuration, as key=value (JSON, or text as it stands); may be repeated. A token is
        its text ("answer= Paris", "answer= 7"), or its id in angle brackets ("answer=<148>").
    out
        Where runs are kept; this one goes to OUT/EXPERIMENT/TAG.
    force
        Replace a run that has the same tag.
    on
        Where parts of it are computed, by several workers: processes (of this machine); ray (a cluster that
        is there, else one of this machine), or a cluster's address such as ray://host:10001.
    workers
        With --on: how many; by default as many as there are cores (or GPUs) for.
    threads
        With --on: that each worker computes with.
    gpus_per_worker
        With --on ray: the GPUs, or the share of one, that each worker has; by default as many workers share a
        GPU as fit its memory.
    gpu_memory
        With --on ray: GB of each GPU; by default the machines are asked.
    """
    from interp.configs import parse_override
    from interp.experiments.base import find_experiment

    flags = {"model": model, "backend": backend, "device": device, "dtype": dtype, "seed": seed}
    overrides = {key: value for key, value in flags.items() if value is not None}
    texts = find_experiment(experiment).text_keys
    overrides |= dict(parse_override(text, texts=texts) for text in set_ or [])
    with _crew(on, workers, threads, gpus_per_worker, gpu_memory) as crew:
        _run_and_show(
            experiment, config=config, overrides=overrides, tag=tag, out=out, force=force, crew=crew
        )


@app.command
def sweep(
    experiment: str,
    /,
    *,
    config: Path | None = None,
    over: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative=())] = None,
    show: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    tag: str | None = None,
    out: Path = Path("outputs"),
    force: Annotated[bool, Parameter(negative=())] = False,
    on: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    gpus_per_worker: float | None = None,
    gpu_memory: float | None = None,
) -> None:
    """Run an experiment with every combination of some values; one table and figure at the end.

    Parameters
    ----------
    experiment
        Its name; `interp experiments` lists them.
    config
        A YAML file with its configuration, which may hold `over`: keys with lists of values.
    over
        A key and its values, as key=[...] (JSON): "model=[\"demo-gpt2\", \"demo-qwen3\"]", "seed=[0, 1]",
        "options.order=[\"ABBA\", \"BABA\"]"; may be repeated.
    set_
        Any other key of the configuration, as key=value; may be repeated.
    show
        Numbers of the result that the table shows and the figure draws, such as clean_value or recovery.peak;
        by default the first that all runs have.
    tag
        The sweep's name; by default the time.
    out
        Where it is kept: OUT/EXPERIMENT/TAG, with a folder for each run.
    force
        Replace a sweep that has the same tag.
    on
        Who computes the runs: processes (of this machine), ray, or a cluster's address; by default this
        process, one after the other.
    workers
        With --on: how many.
    threads
        With --on: that each worker computes with.
    gpus_per_worker
        With --on ray: the GPUs, or the share of one, that each worker has; by default as many workers share a
        GPU as fit its memory.
    gpu_memory
        With --on ray: GB of each GPU; by default the machines are asked.
    """
    from interp.configs import parse_override, read_config
    from interp.experiments.base import find_experiment, overridden
    from interp.runs import default_tag, run_folder
    from interp.sweeps.grid import cells
    from interp.sweeps.sweep import sweep as run_all

    if n_started() > 1:
        raise ConfigError("torchrun is for `interp run`, whose processes share one model; sweep without it.")
    found = find_experiment(experiment)
    values = read_config(config) if config is not None else {}
    _check_meant_for(found.name, values.pop("experiment", found.name), config)
    grid = values.pop("over", {})
    if not isinstance(grid, dict):
        raise ConfigError("'over' in a configuration holds keys with lists of values.")
    grid = grid | dict(parse_override(text) for text in over or [])
    overrides = dict(parse_override(text, texts=found.text_keys) for text in set_ or [])
    runs = cells(found, overridden(values, overrides), grid)
    folder = run_folder(out, found.name, default_tag("sweep") if tag is None else tag, force=force)
    quiet_libraries()
    with (
        _crew(on, workers, threads, gpus_per_worker, gpu_memory) as crew,
        progress(f"{len(runs)} runs of {found.name}"),
    ):
        summary = run_all(found, runs, folder, show=show or (), do=None if crew is None else crew.do)
    from interp.figures.engine.view_terminal import renderable

    console.print(renderable(summary.view(), notes=[]))
    files = f"table.csv, sweep.png, report.html, and {len(runs)} runs"
    console.print(f"[bold]{folder}[/]: {files}", highlight=False)


@app.command
def plan(
    experiment: str,
    /,
    *,
    config: Path | None = None,
    model: str | None = None,
    dtype: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative=())] = None,
    tokenizer: str | None = None,
    gpus: int = 0,
    gpu_memory: float = 80.0,
    gpu_rate: float = 300.0,
    gpu_bandwidth: float = 2000.0,
) -> None:
    """Say what an experiment will take (operations, memory, parts, time), without loading the model.

    Parameters
    ----------
    experiment
        Its name; `interp experiments` lists them.
    config
        A YAML file with its configuration.
    model
        A short name, a Hugging Face id or a folder, of which only the configuration is read; or a JSON file
        with a configuration.
    dtype
        float32, float64, bfloat16 or float16.
    set_
        Any key of the configuration, as key=value; may be repeated.
    tokenizer
        The model whose tokenizer counts prompts, where MODEL has none here.
    gpus
        Plan for so many GPUs, too.
    gpu_memory
        GB of each.
    gpu_rate
        TFLOP/s that each reaches in practice.
    gpu_bandwidth
        GB/s of its memory.
    """
    from interp.configs import parse_override, read_config
    from interp.experiments.base import find_experiment, overridden
    from interp.plans.plan import plan as make_plan

    found = find_experiment(experiment)
    values = read_config(config) if config is not None else {}
    _check_meant_for(found.name, values.pop("experiment", found.name), config)
    overrides = dict(parse_override(text, texts=found.text_keys) for text in set_ or [])
    quiet_libraries()
    with console.status(f"rehearsing {found.name} ..."):
        planned = make_plan(
            found.name,
            overridden(values, overrides),
            model=model,
            dtype=dtype,
            tokenizer=tokenizer,
            gpus=gpus,
            gpu_memory=gpu_memory,
            gpu_rate=gpu_rate,
            gpu_bandwidth=gpu_bandwidth,
        )
    console.print(planned.table())


@app.command
def demo(*, model: str = "demo-gpt2", out: Path = Path("outputs")) -> None:
    """The logit lens and a causal trace on a trained model that comes with the package.

    Parameters
    ----------
    model
        demo-gpt2 or demo-qwen3.
    out
        Where the two runs are kept.
    """
    from interp.experiments.demonstrations import DEMO

    _demonstrate(DEMO, model, out)


@app.command
def real(*, out: Path = Path("outputs")) -> None:
    """The lens, a causal trace, head scores and indirect objects from end to end on Gemma 3 270M.

    Parameters
    ----------
    out
        Where the runs are kept.
    """
    from interp.experiments.demonstrations import REAL
    from interp.models.gguf.packages import GEMMA

    console.print(f"{GEMMA.terms}: https://ai.google.dev/gemma/terms", highlight=False)
    _demonstrate(REAL, GEMMA.name, out)


@app.command
def experiments() -> None:
    """List the experiments and the keys of their configurations."""
    from interp.experiments.base import ExperimentConfig, all_experiments

    table = table_of("Experiment", "What it asks", "Keys beside " + ", ".join(ExperimentConfig.model_fields))
    for name, found in sorted(all_experiments().items()):
        own = [key for key in found.config.model_fields if key not in ExperimentConfig.model_fields]
        table.add_row(name, found.about, ", ".join(own))
    console.print(table)


@app.command
def models(*, check: str | None = None, backend: str = "transformers", device: str = "auto") -> None:
    """List the models that go by a short name, and which of them can be loaded without a download.

    Parameters
    ----------
    check
        A short name, a Hugging Face id or a folder: load it and print its self-check instead, and how far
        its logits are from those of the plain Hugging Face model.
    backend
        With --check: transformers, transformer_lens or nnsight.
    device
        With --check: auto, cpu, cuda, mps, ...
    """
    if check is not None:
        _check_model(check, backend=backend, device=device)
        return
    from interp.models.names import KNOWN, is_local

    table = table_of("Name", "What it is", "Source", "Here")
    for known in KNOWN.values():
        packaged = Path(known.source).is_dir()
        source = "in the package" if packaged else known.source
        table.add_row(known.name, known.about, source, "yes" if is_local(known) else "no")
    console.print(table)
    console.print("Any Hugging Face id, or a local folder in the same format, will do as well.")


@app.command
def saes(release: str | None = None, /) -> None:
    """List published releases of SAEs and transcoders that load by name, and which of them are here.

    Parameters
    ----------
    release
        The name of one: say what its dictionaries are called, and list those in the local cache.
    """
    from interp.errors import check_choice
    from interp.saes.hub_folders import names_here
    from interp.saes.releases import RELEASES

    if release is not None:
        check_choice("release", release, [name for one in RELEASES for name in one.releases])
    lines, local = [], []
    for one in RELEASES:
        if release is None or release in one.releases:
            here = [name for name in names_here(one) if release in (None, name.partition("/")[0])]
            local += here
            names = one.example if release is None else f"{release}/{one.shown.partition('/')[2]}"
            lines += [f"{one.model}: {one.about}" + (f" ({len(here)} here)" if here else ""), f"    {names}"]
    lines += ["In the local cache:", *(f"    {name}" for name in local)] if local else ["None is here."]
    if release is None:
        lines.append(
            "One of each is named; `interp saes RELEASE` says what the others of a release are called, as in "
            "`interp saes gemma-scope-2-1b-it-res`. A folder, or a place on the hub, will do as well."
        )
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


@app.command
def cache(*, remove: str | None = None) -> None:
    """List the converted copies of GGUF files, or remove one.

    Parameters
    ----------
    remove
        The beginning of a copy's hash, as the list shows it; or all.
    """
    from interp.models.gguf.copies import all_copies, copies_folder
    from interp.models.gguf.copies import remove as remove_copy

    copies = all_copies()
    if remove is None:
        table = table_of("Hash", "Of the file", "Architecture", "Weights", "GB")
        table.columns[0].min_width, table.columns[-1].min_width = 12, 6
        for copy in copies:
            table.add_row(
                copy.sha256[:12], copy.source, copy.architecture, copy.quantisation, f"{copy.size / 1e9:.2f}"
            )
        console.print(table)
        console.print(f"{len(copies)} in {copies_folder()}", highlight=False)
        return
    chosen = [copy for copy in copies if remove == "all" or copy.sha256.startswith(remove)]
    if not remove or not chosen or (remove != "all" and len(chosen) > 1):
        raise ConfigError(
            f"{len(chosen)} copies have a hash that begins with {remove!r}; `interp cache` lists them."
        )
    for copy in chosen:
        remove_copy(copy)
    console.print(f"Removed {len(chosen)}.", highlight=False)


@app.command
def gather_documentation(file: Path, /, *, megabytes: float = 20.0) -> None:
    """Gather a text to train on: the documentation of Python's library and of the installed packages.

    Parameters
    ----------
    file
        A new file that ends in .jsonl.
    megabytes
        How large it is to be.
    """
    from interp.text.documentation import gather_documentation as gather

    with progress("gathering"):
        count = gather(file, megabytes=megabytes)
    console.print(f"{count:,} documents in {file}", highlight=False)


@app.command
def doctor(*, no_test: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Say what is installed here, and test whether it works; give its output with a report of a fault.

    Parameters
    ----------
    no_test
        Leave out the self-test, which takes up to 10 seconds.
    """
    from interp.doctor import doctor as examine

    quiet_libraries()
    if not examine(test=not no_test):
        sys.exit(1)


@app.command
def show(run: Path, /, *, redraw: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Print a run's result from disk, without its model.

    Parameters
    ----------
    run
        The run's folder, or EXPERIMENT/TAG within outputs.
    redraw
        Draw its figure and report anew from the numbers.
    """
    from interp.runs import read_run
    from interp.runs import redraw as draw_anew

    found = read_run(_run_folder(run))
    if redraw:
        draw_anew(found)
    _show(found)


@app.command
def dashboard(run: Path, /, *, out: Path | None = None, neuronpedia: Path | None = None) -> None:
    """Write a run of prompt_features, or of attribution_graph, as one HTML page to click, without its model.

    Parameters
    ----------
    run
        The run's folder, or EXPERIMENT/TAG within outputs; or a graph file (.json) of this page's, of
        circuit-tracer's or Neuronpedia's.
    out
        The page; by default dashboard.html in the run's folder, beside a file one of its name.
    neuronpedia
        Also write it to this file, as the JSON that Neuronpedia (and circuit-tracer's viewer) takes.
    """
    from interp.figures.dashboard.feature_dashboard import feature_dashboard
    from interp.figures.dashboard.graph_page import graph_page
    from interp.methods.features.neuronpedia import write_neuronpedia
    from interp.methods.graphs.graph_files import read_graph, write_graph
    from interp.runs import read_run

    if run.suffix == ".json":
        page = run.with_suffix(".html") if out is None else out
        graph_page(read_graph(run), page)
        console.print(str(page), highlight=False)
        return
    found = read_run(_run_folder(run))
    result: Any = found.result
    page = found.path / "dashboard.html" if out is None else out
    match found.experiment.name:
        case "prompt_features":
            feature_dashboard(result.profiles, page)
            if neuronpedia is not None:
                write_neuronpedia(result.profiles, neuronpedia)
        case "attribution_graph":
            graph_page(result, page)
            if neuronpedia is not None:
                write_graph(result, neuronpedia)
        case other:
            raise ConfigError(f"{str(run)!r} is a run of {other!r}, which has no features to show.")
    console.print(", ".join(str(path) for path in (page, neuronpedia) if path is not None), highlight=False)


@app.command
def notebook(
    run: Path, /, *, out: Path | None = None, force: Annotated[bool, Parameter(negative=())] = False
) -> None:
    """Write a run as a notebook that makes it again and compares its numbers, without its model.

    Parameters
    ----------
    run
        The run's folder, or EXPERIMENT/TAG within outputs.
    out
        The notebook; by default EXPERIMENT.ipynb in the run's folder.
    force
        Replace one that is there.
    """
    from interp.notebooks import notebook_of
    from interp.runs import read_run

    found = read_run(_run_folder(run))
    path = found.path / f"{found.experiment.name}.ipynb" if out is None else out
    if path.exists() and not force:
        raise ConfigError(f"There is something at {str(path)!r} already; give another --out or --force.")
    written = notebook_of(found)
    try:
        path.write_text(written, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"Cannot write {str(path)!r} ({error.strerror}); give another --out.") from None
    console.print(str(path), highlight=False, soft_wrap=True)


@app.command(name="app")
def serve(
    *,
    port: int = 8501,
    model: str | None = None,
    out: Path = Path("outputs"),
    files: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    browser: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Start the app, for this machine only; needs the extra `app`.

    Parameters
    ----------
    port
        It will be at http://127.0.0.1:PORT.
    model
        What the pages begin with: a short name, a Hugging Face id or a folder; any other can be chosen there.
    out
        Where the runs are that the page Runs shows.
    files
        A folder that models, SAEs and texts may be read from, by default the working folder; may be repeated.
    browser
        Open it in a browser.
    """
    from interp.app.server.launch import launch

    code = launch(port, browser=browser, model=model, out=out, files=files)
    if code:
        sys.exit(code)


def _check_model(name: str, *, backend: str, device: str) -> None:
    """The self-check in float32 and float64, and the cost of bfloat16; `ModelLoadError` where one fails."""
    from interp.models.registry import load_model
    from interp.models.self_check import require, rounding, self_check

    quiet_libraries()
    found = {}
    for dtype in ("float32", "float64"):
        with console.status(f"loading {name} in {dtype} ..."):
            model = load_model(name, backend=backend, device=device, dtype=dtype, self_check=False)  # type: ignore[arg-type]
            found[dtype] = model, self_check(model)
    table = table_of("Check", "float32", "float64", "")
    table.columns[1].min_width = table.columns[2].min_width = 7  # numbers are never broken
    for single, double in zip(*(checks for _, checks in found.values()), strict=False):
        verdict = "ok" if single.passed and double.passed else f"FAILED {single.where or double.where}"
        verdict += f" ({single.note})" if single.note else ""
        table.add_row(single.name, f"{single.off:.1e}", f"{double.off:.1e}", verdict)
    model, _ = found["float32"]
    console.print(repr(model), soft_wrap=True, highlight=False)
    console.print(f"sites: {', '.join(model.sites)}", soft_wrap=True, highlight=False)
    console.print(table)
    console.print("Differences are shares of the largest entry compared; 1e-4 is allowed, 1e-6 in float64.")
    for checked, checks in found.values():
        require(checks, checked)
    del found
    with console.status(f"loading {name} in bfloat16 ..."):
        rounded = load_model(name, backend=backend, device=device, dtype="bfloat16", self_check=False)  # type: ignore[arg-type]
    console.print(rounding(model, rounded), soft_wrap=True, highlight=False)


def _demonstrate(experiments: Demonstration, model: str, out: Path) -> None:
    """Some experiments on a model that is loaded once, each run taking the place of an earlier one."""
    from interp.experiments.base import find_experiment
    from interp.runs import load_for, perform, run_folder

    quiet_libraries()
    loaded = None
    for name, values in experiments:
        found = find_experiment(name)
        config = found.make_config({"model": model} | values)
        folder = run_folder(out, name, f"{model}-demo", force=True)
        with progress(f"{name} on {model}"):
            loaded = loaded or load_for(config)
            finished = perform(found, config, folder, model=loaded)
        _show(finished)


def _run_and_show(
    name: str,
    *,
    config: Path | None,
    overrides: dict[str, Any],
    tag: str | None,
    out: Path,
    force: bool,
    crew: Any = None,
) -> None:
    """Everything is validated before the model is loaded."""
    from interp.configs import read_config
    from interp.experiments.base import find_experiment, overridden
    from interp.runs import default_tag, parts_folder, perform, run_folder

    found = find_experiment(name)
    name = found.name
    values = read_config(config) if config is not None else {}
    meant_for = values.pop("experiment", name)
    _check_meant_for(name, meant_for, config)
    resolved = found.make_config(overridden(values, overrides))
    folder = run_folder(out, name, default_tag(resolved.model) if tag is None else tag, force=force)
    quiet_libraries()
    parts = parts_folder(folder)
    try:
        with progress(f"{name} on {resolved.model}"):
            finished = perform(found, resolved, folder, elsewhere=_by(crew))
    except KeyboardInterrupt:
        if parts.exists():
            console.print(f"Stopped. Run it again with --tag {folder.name} to go on.", highlight=False)
        raise
    if is_first():
        _show(finished)


def _check_meant_for(name: str, meant_for: Any, config: Path | None) -> None:
    from interp.experiments.base import current_name

    if current_name(str(meant_for)) != name:
        raise ConfigError(f"{str(config)!r} is a configuration of {meant_for!r}, not of {name!r}.")


@contextmanager
def _crew(
    on: str | None,
    workers: int | None,
    threads: int,
    gpus_per_worker: float | None,
    gpu_memory: float | None,
) -> Iterator[Any | None]:
    """Workers, as long as the context lasts; None: all is computed here."""
    if on is None:
        if any(given is not None for given in (workers, gpus_per_worker, gpu_memory)):
            raise ConfigError("Workers are for --on; say where they are, such as --on processes.")
        yield None
        return
    if on == "processes":
        from interp.workers.processes import on_processes

        if gpus_per_worker is not None or gpu_memory is not None:
            raise ConfigError("GPUs are given to workers by Ray; use --on ray.")
        crew: Any = on_processes(workers, threads=threads)
    else:
        from interp.on_ray.cluster import on_ray

        address = None if on == "ray" else on
        gpus = {"gpus_per_worker": gpus_per_worker, "gpu_memory": gpu_memory}
        crew = on_ray(address, workers=workers, threads=threads, **gpus)
    with crew:
        yield crew


def _by(crew: Any | None) -> Elsewhere | None:
    """Who computes a run: workers, or nobody else."""
    if crew is None:
        return None
    from interp.workers.jobs import ExperimentJob

    return lambda name, config: crew.do(ExperimentJob(experiment=name, config=config))


def _run_folder(run: Path) -> Path:
    return run if run.exists() or run.is_absolute() else Path("outputs") / run


def _show(run: Any) -> None:
    shown = run.experiment.presentation
    if shown is not None:
        console.print(shown.table(run.result))
    console.print(f"[bold]{run.path}[/]: {', '.join(file.name for file in run.files)}", highlight=False)
    console.print()
