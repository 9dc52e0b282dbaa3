#!/usr/bin/env python3
"""A proxy for HTTP: tunnels by CONNECT, plain requests by whole addresses.

    proxy.py PORT LOG AUTHORIZATION

Whatever host is asked for, it is looked for on this machine. Each request adds a line to LOG: its method and its target. One
without `Proxy-Authorization: AUTHORIZATION` is refused.
"""
import socket
import socketserver
import sys
import threading
import urllib.parse


def pass_on(source, sink):
    try:
        while piece := source.recv(1 << 16):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one side has gone: the other will notice


class Proxied(socketserver.StreamRequestHandler):
    rbufsize = 0  # what follows the head is the tunnel's

    def handle(self):
        lines = []
        while line := self.rfile.readline(1 << 16).rstrip(b"\r\n"):
            lines.append(line.decode("latin-1"))
        if not lines:
            return
        method, target, version = lines[0].split(" ")
        headers = [line.split(": ", 1) for line in lines[1:]]
        kept = [(name, value) for name, value in headers if name.lower() not in ("proxy-authorization", "connection")]
        if [value for name, value in headers if name.lower() == "proxy-authorization"] != [sys.argv[3]]:
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with open(sys.argv[2], "a") as log:
            log.write(f"{method} {target}\n")
        whole = urllib.parse.urlsplit(target if method != "CONNECT" else "//" + target)
        with socket.create_connection(("127.0.0.1", whole.port)) as server:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = urllib.parse.urlunsplit(("", "", whole.path or "/", whole.query, ""))
                head = [f"{method} {path} {version}", "Connection: close"] + [": ".join(pair) for pair in kept]
                server.sendall("\r\n".join(head + ["", ""]).encode("latin-1"))
            back = threading.Thread(target=pass_on, args=(server, self.request))
            back.start()
            pass_on(self.request, server)
            back.join()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Proxied).serve_forever()
