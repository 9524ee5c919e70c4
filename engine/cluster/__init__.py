"""The same attempts on further machines. Membership, placement, failure detection and transport are Ray's.

One engine, one database, every decision: a node runs the runner's own parts and holds no truth. `site` is what works
on a node, `fleet` what speaks to it, `link` and `driver` what carries the words.
"""
