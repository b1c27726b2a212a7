"""Makes pairs of calls, each pair on one connection: two-calls.py PORT '[[{"host": …, "path": …}, {…}], …]'."""

import http.client
import json
import sys


def call(connection, to):
    connection.request("GET", to["path"], headers={"Host": to["host"]})
    response = connection.getresponse()
    return {"status": response.status, "body": response.read().decode()}


results = []
for first, second in json.loads(sys.argv[2]):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
    connection.connect()
    socket = connection.sock
    one = call(connection, first)
    reused = connection.sock is socket
    results.append({"first": one, "second": call(connection, second), "reused": reused})
    connection.close()
print(json.dumps(results))
