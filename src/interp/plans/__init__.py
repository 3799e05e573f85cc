"""What a run will cost, before its model is loaded: operations, memory, parts and time, here and on other
machines.

- `shapes`: a model from its configuration alone, on the meta device, and a stand-in of the same layers and
  heads that is narrow enough to run.
- `rehearsal`: the experiment itself is run on the stand-in, and what goes through its layers is counted.
- `machines`: how fast that is here, measured on layers of the real width; or elsewhere, from what is said.
- `plan`: all of it together, what would not fit, and what to change.
"""
