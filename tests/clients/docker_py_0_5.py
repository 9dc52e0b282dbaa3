"""docker-py 0.5.0 of 2014, which speaks API 1.13 by default and 1.14 when asked: the engine's address is the argument."""
import sys

import docker

client = docker.Client(base_url=sys.argv[1].replace("unix://", "http+unix://"), version="1.14", timeout=30)
assert client.version()["ApiVersion"], client.version()
assert client.info()["Images"] == 1, client.info()
created = client.create_container("busybox", ["sh", "-c", "echo out; echo err >&2; exit 3"], name="first")
client.start(created)
assert client.wait(created) == 3
assert sorted(client.logs(created).splitlines()) == ["err", "out"], client.logs(created)
inspected = client.inspect_container(created)
assert inspected["Name"] == "/first" and inspected["State"]["ExitCode"] == 3, inspected
assert client.containers(all=True)[0]["Status"].startswith("Exited (3)")

server = client.create_container("busybox", ["sleep", "1000"], ports=[80], volumes=["/data"], environment={"A": "b"})
client.start(server, port_bindings={80: 8080}, binds={"/tmp": {"bind": "/data", "ro": True}})
assert client.port(server, 80)[0]["HostPort"] == "8080", client.port(server, 80)
assert client.top(server["Id"])["Processes"]
assert client.diff(server) is not None
image = client.commit(server["Id"], "committed", tag="1")["Id"]
assert len(image) == 64, image
assert client.inspect_image("committed:1")["Id"] == image
assert client.history("committed:1")
client.tag("committed:1", "other", "2")
saved = client.get_image("committed:1").read()
client.kill(server)
client.remove_container(server, v=True)
client.remove_container(created)
client.remove_image("other:2")
client.remove_image("committed:1")
client.load_image(saved)
assert client.inspect_image("committed:1")["Id"] == image
print("well")
