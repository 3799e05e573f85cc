"""From a typed result to a picture, a terminal table and a report; never from a model.

One module a kind of result, each with the same three functions: `figure` (matplotlib), `table` (rich)
and `report` (a fragment for `html.page`). All three share the colours of `colours` and the notation of
`notation`, so that a cell looks the same wherever it is seen.
"""
