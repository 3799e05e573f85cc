"""What a model goes on to say, token by token, with edits in what it reads and in what it says.

1. Prompts of the same length run together, so that nothing is padded and every family's positions, windows
   and masks are as in a run of one prompt; groups of other lengths take turns, a token each.
2. Where the backend keeps keys and values (`Past`), each pass reads the new token alone. All are kept, of
   layers with a sliding window too, whose masks hide what is outside it: patterns have all keys.
3. What is kept are keys and values as they come from the weights; edits of `k` and `v` act on all of them in
   every pass anew, as they do in a run of the whole text.
4. What an edit does to a token does not depend on later ones. So a run with a cache and a run of the whole
   text agree; where they would not, the whole text is run, and the result says why.
"""
