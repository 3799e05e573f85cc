"""Attribution graphs: which features at which tokens made an answer, with the truth beside every edge."""
