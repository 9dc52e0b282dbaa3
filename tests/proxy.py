#!/usr/bin/env python3
"""A proxy: for HTTP, tunnels by CONNECT and plain requests by whole addresses; and SOCKS version 5, on the same port.

    proxy.py PORT LOG AUTHORIZATION [FOLDER]

Whatever host is asked for, it is looked for on this machine. Each request adds a line to LOG: its method and its target; SOCKS is
a method too. One without `Proxy-Authorization: AUTHORIZATION`, or the same name and secret by SOCKS, is refused. With a FOLDER it
speaks TLS, by the certificate `server.pem` and the key `server.key` there.
"""
import asyncio
import base64
import ssl
import sys
import urllib.parse

PORT, LOG, AUTHORIZATION = int(sys.argv[1]), sys.argv[2], sys.argv[3]
USER, SECRET = base64.b64decode(AUTHORIZATION.split(" ")[1]).split(b":")


def note(method, target):
    with open(LOG, "a") as log:
        log.write(f"{method} {target}\n")


async def pass_on(source, sink):
    while piece := await source.read(1 << 16):
        sink.write(piece)
        await sink.drain()
    # TLS knows no half of an end.
    sink.write_eof() if sink.can_write_eof() else sink.close()


async def join(reader, writer, port, first=b""):
    """Connects both sides until both have ended."""
    behind, before = await asyncio.open_connection("127.0.0.1", port)
    try:
        before.write(first)
        await asyncio.gather(pass_on(reader, before), pass_on(behind, writer))
    finally:
        before.close()


async def socks(reader, writer):
    """RFC 1928 and 1929: only connections to names and addresses of IPv4, only with name and secret."""
    methods = await reader.readexactly((await reader.readexactly(1))[0])
    if 2 not in methods:
        return writer.write(b"\5\xff")
    writer.write(b"\5\2")
    await reader.readexactly(1)
    user = await reader.readexactly((await reader.readexactly(1))[0])
    secret = await reader.readexactly((await reader.readexactly(1))[0])
    if (user, secret) != (USER, SECRET):
        return writer.write(b"\1\1")
    writer.write(b"\1\0")
    _version, command, _reserved, kind = await reader.readexactly(4)
    if command != 1 or kind not in (1, 3):
        return writer.write(b"\5\7\0\1\0\0\0\0\0\0")
    if kind == 1:
        host = ".".join(map(str, await reader.readexactly(4)))
    else:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    port = int.from_bytes(await reader.readexactly(2), "big")
    note("SOCKS", f"{host}:{port}")
    writer.write(b"\5\0\0\1\x7f\0\0\1\0\0")
    await join(reader, writer, port)


async def http(reader, writer, first):
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    method, target, version = head[0].split(" ")
    headers = [line.split(": ", 1) for line in head[1:]]
    kept = [": ".join(pair) for pair in headers if pair[0].lower() not in ("proxy-authorization", "connection")]
    if [value for name, value in headers if name.lower() == "proxy-authorization"] != [AUTHORIZATION]:
        return writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    note(method, target)
    whole = urllib.parse.urlsplit(target if method != "CONNECT" else "//" + target)
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return await join(reader, writer, whole.port)
    path = urllib.parse.urlunsplit(("", "", whole.path or "/", whole.query, ""))
    lines = [f"{method} {path} {version}", "Connection: close"] + kept
    await join(reader, writer, whole.port or 80, "\r\n".join(lines + ["", ""]).encode("latin-1"))


async def serve(reader, writer):
    try:
        first = await reader.readexactly(1)
        await (socks(reader, writer) if first == b"\5" else http(reader, writer, first))
        await writer.drain()
    except (OSError, EOFError):
        pass  # one side has gone: the other will notice
    finally:
        writer.close()


async def main():
    context = None
    if len(sys.argv) > 4:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{sys.argv[4]}/server.pem", f"{sys.argv[4]}/server.key")
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, ssl=context)
    await server.serve_forever()


asyncio.run(main())
