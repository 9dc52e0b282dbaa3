#!/usr/bin/env python3
"""A registry with one image, `big:1`, of two layers: a small one that comes late, and one of MEGABYTES of generated data.

    generated_registry.py PORT MEGABYTES GATE

The small one comes once there is a file GATE. The large layer is made while it is sent and never kept, so that it may be larger
than the memory of either side.
"""
import gzip
import hashlib
import http.server
import io
import json
import os
import sys
import tarfile
import time

BLOCK = 1 << 20


def small():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("late"))
    return out.getvalue()


def large(megabytes):
    """A tar of one file, block by block; no two blocks are the same."""
    info = tarfile.TarInfo("big")
    info.size = megabytes * BLOCK
    yield info.tobuf()
    for number in range(megabytes):
        yield hashlib.sha256(b"%d" % number).digest() * (BLOCK // 32)
    yield bytes(1024)


def digest(blocks):
    found, length = hashlib.sha256(), 0
    for block in blocks:
        found.update(block)
        length += len(block)
    return "sha256:" + found.hexdigest(), length


def main():
    port, megabytes, gate = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    kind = "application/vnd.docker.image.rootfs.diff.tar"
    late = gzip.compress(small(), mtime=0)
    layers = [(digest([late]), kind + ".gzip"), (digest(large(megabytes)), kind)]
    diffs = [digest([small()])[0], layers[1][0][0]]
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diffs}}).encode()
    manifest_kind = "application/vnd.docker.distribution.manifest.v2+json"
    described = [{"mediaType": kind, "digest": name, "size": size} for (name, size), kind in layers]
    name, size = digest([config])
    own = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": name, "size": size}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": manifest_kind, "config": own, "layers": described}).encode()

    class Request(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            what = self.path.rsplit("/", 1)[-1]
            if self.path == "/v2/":
                return self.send(b"{}", "application/json")
            if "/manifests/" in self.path:
                return self.send(manifest, manifest_kind)
            if what == name:
                return self.send(config, "application/json")
            if what == described[0]["digest"]:
                while not os.path.exists(gate):
                    time.sleep(0.02)
                return self.send(late, "application/octet-stream")
            self.head(described[1]["size"], "application/octet-stream")
            for block in large(megabytes):
                self.wfile.write(block)

        def head(self, length, kind):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def send(self, body, kind):
            self.head(len(body), kind)
            self.wfile.write(body)

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Request).serve_forever()


if __name__ == "__main__":
    main()
