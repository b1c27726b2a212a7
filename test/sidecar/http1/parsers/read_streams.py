"""Reads streams of requests with a parser that is not llhttp.

    read_streams.py h11|aiohttp

A line of input is a stream in base64; a line of output is what the parser found in it, as JSON:
{"messages": [{"method", "target", "body"}], "end": "refused" | "unfinished" | "closed"}. Bytes are characters.
"""

import asyncio
import base64
import json
import sys
import warnings

# Where "unfinished" would be told of a stream that ends between two messages, nothing is missing.
DONE = "closed"


def with_h11(stream):
    import h11

    connection = h11.Connection(h11.SERVER)
    connection.receive_data(stream)
    connection.receive_data(b"")
    messages = []
    request, body = None, b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            cut = "closed connection" in str(error) or "without sending complete" in str(error)
            return messages, "unfinished" if cut else "refused"
        if isinstance(event, h11.Request):
            request, body = event, b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            messages.append((request.method, request.target, body))
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return messages, DONE
            connection.start_next_cycle()
        else:
            return messages, DONE


def with_aiohttp(stream):
    from aiohttp import http_exceptions
    from aiohttp.http_parser import HttpRequestParserPy
    from aiohttp.base_protocol import BaseProtocol

    loop = asyncio.get_event_loop()
    protocol = BaseProtocol(loop)
    parser = HttpRequestParserPy(protocol, loop, 2**16, max_line_size=65536, max_field_size=65536)
    end = "unfinished"
    try:
        found, _, _ = parser.feed_data(stream)
    except (http_exceptions.HttpProcessingError, ValueError, IndexError):
        # An index out of range is how it refuses a field without a name. Whatever stood before the fault is lost with it.
        return None, "refused"
    messages = []
    for message, payload in found:
        body = b"".join(payload._buffer) if hasattr(payload, "_buffer") else b""
        if payload.exception() is not None:
            return messages, "refused"
        if not payload.is_eof():
            return messages, "unfinished"
        messages.append((message.method.encode("latin1"), message.path.encode("utf8", "surrogateescape"), body))
        if message.should_close:
            return messages, DONE
    return messages, end


def main():
    warnings.simplefilter("ignore")
    asyncio.set_event_loop(asyncio.new_event_loop())
    read = {"h11": with_h11, "aiohttp": with_aiohttp}[sys.argv[1]]
    for line in sys.stdin:
        messages, end = read(base64.b64decode(line))
        shown = None
        if messages is not None:
            shown = [
                dict(zip(("method", "target", "body"), (part.decode("latin1") for part in message)))
                for message in messages
            ]
        print(json.dumps({"messages": shown, "end": end}), flush=True)


main()
