"""docker-py 7 as its users use it: the engine's address is the argument."""
import io
import sys
import tarfile

import docker

client = docker.DockerClient(base_url=sys.argv[1])
assert client.ping()
assert client.version()["ApiVersion"] == "1.51", client.version()
assert client.containers.run("busybox", ["echo", "hello"], remove=True) == b"hello\n"

box = client.containers.run("busybox", "sleep 1000", detach=True, name="box", environment={"A": "b"}, labels={"k": "v"})
assert [c.name for c in client.containers.list(filters={"label": "k=v"})] == ["box"]
code, output = box.exec_run(["sh", "-c", "echo $A; exit 3"])
assert (code, output) == (3, b"b\n"), (code, output)
for _ in range(20):
    assert box.exec_run(["echo", "not", "lost"]).output == b"not lost\n"
    assert box.exec_run(["echo", "terminal"], tty=True).output == b"terminal\r\n"
stdout = box.exec_run("cat", stdin=True, socket=True).output
stdout.close()
assert any("sleep" in " ".join(row) for row in box.top()["Processes"])

archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    member = tarfile.TarInfo("in.txt")
    member.size = 5
    tar.addfile(member, io.BytesIO(b"12345"))
assert box.put_archive("/tmp", archive.getvalue())
chunks, stat = box.get_archive("/tmp/in.txt")
assert stat["name"] == "in.txt" and stat["size"] == 5, stat
assert b"12345" in b"".join(chunks)
assert {"Path": "/tmp/in.txt", "Kind": 1} in box.diff()

image = box.commit("committed", "1")
assert client.containers.run(image.id, ["cat", "/tmp/in.txt"], remove=True) == b"12345"
image.tag("other", "2")
assert sorted(image.tags) == ["committed:1"] or client.images.get(image.id).tags

saved = b"".join(client.images.get("committed:1").save(named=True))
box.pause()
assert client.containers.get("box").status == "paused"
box.unpause()
box.stop(timeout=0)
assert box.wait()["StatusCode"] in (137, 143)
box.remove()
client.images.remove("committed:1", force=True)
client.images.remove("other:2", force=True)
assert [i.tags for i in client.images.load(saved)] == [["committed:1"]]

try:
    client.containers.get("box")
    raise SystemExit("a removed container was found")
except docker.errors.NotFound:
    pass

written = client.api.create_container("busybox", ["cat"], stdin_open=True)
socket = client.api.attach_socket(written, params={"stdin": 1, "stdout": 1, "stream": 1})
client.api.start(written)
socket._sock.sendall(b"typed\n")
assert client.api.attach_socket(written, params={"stdout": 1, "stream": 1, "logs": 1})._sock.recv(64).endswith(b"typed\n")
client.api.stop(written, timeout=0)
assert client.api.logs(written) == b"typed\n", client.api.logs(written)
client.api.remove_container(written)
print("well")
