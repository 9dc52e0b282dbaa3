#!/usr/bin/env python3
"""A registry of before 2015 (Docker's first protocol), as its documents describe it: index and registry, kept in memory.

    server.py [--user NAME:SECRET] [--apart] [--host ADDRESS]

Prints one line when it listens: the port of the index and that of the registry, the same unless --apart. With --user the
index wants name and secret, and the registry the token that the index gave, or name and secret if it stands alone. What is
asked of it is written to standard error, a line each: method, path, scheme of the authorization.
"""
import argparse
import base64
import hashlib
import http.server
import json
import os
import re
import secrets
import threading
from urllib.parse import parse_qs, unquote, urlsplit

STATE = threading.RLock()
IMAGES = {}         # id -> {"json": bytes, "layer": bytes, "checksum": text}
TAGS = {}           # "namespace/name" -> {tag: id}
LISTS = {}          # "namespace/name" -> [{"id", "checksum"}]
TOKENS = set()
USERS = {}
WAITING = set()     # users whose account is not active


def full(namespace, name):
    return "%s/%s" % (namespace or "library", name)


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "old-registry/1"

    def log_message(self, *_):
        pass

    # -- wire

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                if size == 0:
                    return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, document=None, raw=None, headers=()):
        payload = raw if raw is not None else b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("X-Docker-Registry-Version", "0.9.1")
        self.send_header("X-Docker-Registry-Standalone", "false" if self.server.options.apart else "true")
        self.send_header("Content-Type", "application/json" if raw is None else "application/octet-stream")
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    def refuse(self, status, reason):
        self.answer(status, {"error": reason})

    # -- who asks

    def user(self):
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        name, _, secret = base64.b64decode(value).decode().partition(":")
        return name if USERS.get(name) == secret else None

    def admitted(self, index):
        if not USERS:
            return True
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        token = scheme == "Token" and value in TOKENS
        alone = not self.server.options.apart
        return self.user() is not None if index else token or alone and self.user() is not None

    def ways(self, repository):
        """The headers that lead on to the registry."""
        if self.headers.get("X-Docker-Token", "").lower() != "true":
            return []
        token = 'signature=%s,repository="%s",access=write' % (secrets.token_hex(8), repository)
        TOKENS.add(token)
        host = "%s:%d" % (self.headers["Host"].rsplit(":", 1)[0], self.server.ports[1])
        return [("X-Docker-Token", token), ("WWW-Authenticate", "Token " + token), ("X-Docker-Endpoints", host)]

    # -- routes

    INDEX = [
        ("GET", r"/v1/users/?", "sign_in"), ("POST", r"/v1/users/?", "sign_up"),
        ("PUT", r"/v1/repositories/(?:([^/]+)/)?([^/]+)/", "announce"),
        ("GET", r"/v1/repositories/(?:([^/]+)/)?([^/]+)/images", "list"),
        ("PUT", r"/v1/repositories/(?:([^/]+)/)?([^/]+)/images", "close"),
        ("GET", r"/v1/search", "search"),
    ]
    REGISTRY = [
        ("GET", r"/v1/repositories/([^/]+)/([^/]+)/tags", "tags"),
        ("GET", r"/v1/repositories/([^/]+)/([^/]+)/tags/([^/]+)", "tag"),
        ("PUT", r"/v1/repositories/([^/]+)/([^/]+)/tags/([^/]+)", "set_tag"),
        ("GET", r"/v1/images/([0-9a-f]{64})/(json|ancestry|layer)", "get_image"),
        ("PUT", r"/v1/images/([0-9a-f]{64})/(json|layer|checksum)", "put_image"),
    ]

    def route(self):
        url = urlsplit(self.path)
        path, self.query = unquote(url.path), parse_qs(url.query)
        scheme = self.headers.get("Authorization", "-").partition(" ")[0]
        # At once: what other threads write must not come between the words and their line's end.
        os.write(2, ("%s %s %s\n" % (self.command, path, scheme)).encode())
        document = self.body()
        with STATE:
            if path == "/v1/_ping":
                return self.answer(200, True)
            port = self.server.server_address[1]
            tables = [(self.INDEX, True)] if port == self.server.ports[0] else []
            tables += [(self.REGISTRY, False)] if port == self.server.ports[1] else []
            for table, index in tables:
                for method, pattern, name in table:
                    found = re.fullmatch(pattern, path)
                    if method != self.command or not found:
                        continue
                    if not name.startswith(("sign", "search")) and not self.admitted(index):
                        return self.refuse(401, "Requires authorization")
                    return getattr(self, name)(document, *found.groups())
            self.refuse(404, "Not found")

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = route

    # -- index

    def sign_in(self, _):
        name = self.user()
        if name is None:
            return self.answer(401, "Unauthorized")
        return self.answer(403, "Account is not Active") if name in WAITING else self.answer(200, "OK")

    def sign_up(self, document):
        account = json.loads(document)
        if account["username"] in USERS:
            return self.answer(400, "Username or email already exists")
        if not re.fullmatch("[a-z0-9_]{4,30}", account["username"]):
            return self.answer(400, "Wrong username format (it has to match \"^[a-z0-9]{4,30}$\")")
        USERS[account["username"]] = account["password"]
        WAITING.add(account["username"])
        self.answer(201, "User created")

    def announce(self, document, namespace, name):
        key = full(namespace, name)
        known = {one["id"]: one for one in LISTS.get(key, [])}
        for one in json.loads(document):
            known.setdefault(one["id"], {"id": one["id"]})
        LISTS[key] = list(known.values())
        self.answer(200, "", headers=self.ways(key))

    def list(self, _, namespace, name):
        key = full(namespace, name)
        if key not in LISTS:
            return self.refuse(404, "Repository not found")
        self.answer(200, LISTS[key], headers=self.ways(key))

    def close(self, document, namespace, name):
        sums = {one["id"]: one["checksum"] for one in json.loads(document)}
        for one in LISTS.get(full(namespace, name), []):
            if one["id"] in sums:
                one["checksum"] = sums[one["id"]]
        self.answer(204)

    def search(self, _):
        term = self.query.get("q", [""])[0]
        found = [{"name": key, "description": "", "star_count": 0, "is_official": False, "is_trusted": False}
                 for key in sorted(TAGS) if term in key]
        self.answer(200, {"query": term, "num_results": len(found), "results": found})

    # -- registry

    def tags(self, _, namespace, name):
        tags = TAGS.get(full(namespace, name))
        self.refuse(404, "Repository not found") if tags is None else self.answer(200, tags)

    def tag(self, _, namespace, name, tag):
        found = TAGS.get(full(namespace, name), {}).get(tag)
        self.refuse(404, "Tag not found") if found is None else self.answer(200, found)

    def set_tag(self, document, namespace, name, tag):
        image = json.loads(document)
        if image not in IMAGES or "layer" not in IMAGES[image]:
            return self.refuse(404, "Image not found")
        TAGS.setdefault(full(namespace, name), {})[tag] = image
        self.answer(200, True)

    def get_image(self, _, image, part):
        known = IMAGES.get(image)
        if known is None or "checksum" not in known:
            return self.refuse(404, "Image not found")
        if part == "ancestry":
            line = [image]
            while (parent := json.loads(IMAGES[line[-1]]["json"]).get("parent")):
                line.append(parent)
            return self.answer(200, line)
        if part == "json":
            size = [("X-Docker-Size", str(len(known["layer"]))), ("X-Docker-Checksum-Payload", known["checksum"])]
            return self.answer(200, raw=known["json"], headers=size)
        layer, asked = known["layer"], re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked:
            start = int(asked.group(1))
            where = "bytes %d-%d/%d" % (start, len(layer) - 1, len(layer))
            return self.answer(206, raw=layer[start:], headers=[("Content-Range", where)])
        self.answer(200, raw=layer, headers=[("Accept-Ranges", "bytes")])

    def put_image(self, document, image, part):
        known = IMAGES.setdefault(image, {})
        if "checksum" in known:
            return self.refuse(409, "Image already exists")
        if part == "json":
            told = json.loads(document)
            parent = told.get("parent")
            if told.get("id") != image or parent and "checksum" not in IMAGES.get(parent, {}):
                return self.refuse(400, "Image depends on a non existing parent")
            known["json"] = document
        elif part == "layer":
            if "json" not in known:
                return self.refuse(404, "Image's JSON not found")
            known["layer"] = document
        else:
            true = "sha256:" + hashlib.sha256(known["json"] + b"\n" + known["layer"]).hexdigest()
            if self.headers.get("X-Docker-Checksum-Payload") != true:
                return self.refuse(400, "Checksum mismatch")
            known["checksum"] = true
        self.answer(200, True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--user", action="append", default=[], help="NAME:SECRET")
    parser.add_argument("--apart", action="store_true", help="index and registry on two ports")
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    USERS.update(user.split(":", 1) for user in options.user)
    servers = [http.server.ThreadingHTTPServer((options.host, 0), Request) for _ in range(2 if options.apart else 1)]
    ports = [server.server_address[1] for server in servers]
    for server in servers:
        server.ports, server.options, server.daemon_threads = (ports[0], ports[-1]), options, True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(ports[0], ports[-1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
