"""Work on several processes: a model in each of them, parts of the work handed out one by one.

Every worker runs the whole job, an experiment or a call, on a model that it has loaded once. Where the job
comes to parts (`interp.parts`), a worker computes one after the other of those that it is handed; the parts
go to the driver, which keeps them. When the last is done, one of the workers goes on with all of them, and
the others wait to hear what comes next. What it returns is the result.

- `messages`: what worker and driver say to each other.
- `worker`: the worker's side. It knows of no process and no network.
- `coordinator`: the driver's side: which part goes to whom, what is done about workers that die.
- `crew`: what workers have in common, whatever they are made of.
- `processes`: workers as processes of this machine. `interp.on_ray` has those of a Ray cluster.
"""
