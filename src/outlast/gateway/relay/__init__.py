"""The relay: our own thin HTTP/1.1 on both sides of an exchange, where a request's cost is made.

    inbound.py   one client connection: bounded heads and bodies, deadlines, answers, hanging up
    run.py       one exchange without tasks or queues: events in, commands out, by callbacks
    outbound.py  upstreams: kept-alive connections, bounded heads, faults in outcome.py's words
    heads.py     heads as bytes, both ways

llhttp (through httptools) parses; uvloop moves the bytes where it is installed. Paths that are not
inference go to the ASGI application on the same port.
"""
