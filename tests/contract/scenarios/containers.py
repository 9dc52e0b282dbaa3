"""More exchanges of containers: odd inputs, orders and states."""
import json
import time

from lib import make_tar, scenario, ws_frame

JSON = [["Content-Type", "application/json"]]
FORM = [["Content-Type", "application/x-www-form-urlencoded"]]
TAR = [["Content-Type", "application/tar"]]


@scenario("more.exit-codes")
def _(x):
    """exit codes of many kinds in wait, inspect, list"""
    for n, cmd in enumerate(("exit 0", "exit 1", "exit 125", "exit 137", "exit 143", "exit 255", "kill -9 $$", "kill -15 $$", "kill -11 $$", "kill -1 $$", "kill -6 $$")):
        c = x.create(cmd, bind="e%d" % n)
        x.start(c); x.wait(c)
        x.inspect(c, cmp="state")
    x.get("/containers/json?all=1", cmp="unordered")


@scenario("more.kill-exec-form")
def _(x):
    """Processes killed from outside by signals"""
    for n, s in enumerate(("TERM", "9", "15", "SIGKILL", "sigkill", "kill", "RTMIN", "34", "31", "32", "-1", "+9", "09", "9.5", "SIGSIGTERM", "SIGIOT", "CLD", "0x9", " 9", "WINCH", "USR1")):
        c = x.running(["/bin/sh", "-c", "trap 'exit 7' TERM INT QUIT USR1; echo r; while true; do sleep 0.05; done"], bind="k%d" % n)
        x.until_logged(c, "r")
        x.post("/containers/%s/kill?signal=%s" % (c, s.replace(" ", "%20").replace("+", "%2B")))
        x.sleep(0.1)
        x.inspect(c, cmp="state")
        x.post("/containers/%s/kill" % c)


@scenario("more.kill-queries")
def _(x):
    """kill with odd queries and bodies"""
    c = x.running(["sleep", "60"])
    x.post("/containers/%s/kill?signal=" % c)
    x.sleep(0.2)
    x.inspect(c, cmp="state")
    c = x.running(["sleep", "60"], bind="c2")
    x.post("/containers/%s/kill?sig=9" % c)
    c = x.running(["sleep", "60"], bind="c3")
    x.post("/containers/%s/kill" % c, body='{"signal":"TERM"}', headers=JSON)
    c = x.running(["sleep", "60"], bind="c4")
    x.post("/containers/%s/kill" % c, body='signal=0', headers=FORM)
    x.sleep(0.2)
    x.inspect(c, cmp="state")
    c = x.running(["sleep", "60"], bind="c5")
    x.post("/containers/%s/kill?signal=HUP" % c, body="signal=banana", headers=FORM)
    x.post("/containers/%s/stop?t=60" % c, body="t=0", headers=FORM)
    x.post("/containers/create", body=json.dumps(x.config("true")), headers=FORM)


@scenario("more.stop")
def _(x):
    """stop: negative t, big t, t of no number, twice, paused, by name"""
    for n, q in enumerate(("t=-1", "t=", "t=1.5", "t=0x1", "t=+1", "t=00", "t=9999999999999999999", "t=1&t=0")):
        c = x.running("trap 'exit 4' TERM; echo r; while true; do sleep 0.05; done", bind="s%d" % n)
        x.until_logged(c, "r")
        x.post("/containers/%s/stop?%s" % (c, q), timeout=15)
        x.inspect(c, cmp="state")
    c = x.running("trap 'exit 4' TERM; echo r; while true; do sleep 0.05; done", bind="c9", name="stp1")
    x.until_logged(c, "r")
    x.post("/containers/stp1/stop?t=1")
    x.post("/containers/stp1/stop?t=1")


@scenario("more.restart")
def _(x):
    """restart of odd t, of paused, of a failing one"""
    for n, q in enumerate(("t=banana", "t=-1", "t=1")):
        c = x.running("trap 'exit 4' TERM; echo r; while true; do sleep 0.05; done", bind="s%d" % n)
        x.until_logged(c, "r")
        x.post("/containers/%s/restart?%s" % (c, q), timeout=15)
        x.sleep(0.3)
        x.inspect(c, cmp="state")
        x.post("/containers/%s/kill" % c)
    c = x.create(["/nosuch"], bind="n1")
    x.post("/containers/%s/restart?t=0" % c)
    x.inspect(c)


@scenario("more.start-fail")
def _(x):
    """what cannot be started, and what is left of it"""
    for n, cmd in enumerate((["/nosuch"], ["nosuch"], ["/etc/passwd"], ["./x"], [""], ["/bin/nosuch", "a"], ["-c"], [" "])):
        c = x.create(cmd, bind="f%d" % n)
        x.start(c)
        x.inspect(c)
        x.wait(c) if n == 0 else None
    x.get("/containers/json?all=1", cmp="unordered")


@scenario("more.workdir-user")
def _(x):
    """work folders and users that do not exist or are files; names and numbers of users"""
    for n, kw in enumerate(({"WorkingDir": "relative"}, {"WorkingDir": "/etc/passwd"}, {"WorkingDir": "/a/b/../c"}, {"WorkingDir": ""}, {"User": "nosuch"}, {"User": "1000"}, {"User": "1000:1000"},
                            {"User": "root:nosuch"}, {"User": "daemon:daemon"}, {"User": "0:0"}, {"User": ":"}, {"User": "-1"}, {"User": "99999999999"}, {"User": "daemon"}, {"User": ":daemon"}, {"User": "root:daemon"})):
        c = x.create("pwd; id -u; id -g; id -G; echo $HOME", bind="w%d" % n, **kw)
        x.start(c)
        x.wait(c)
        x.logs(c, cmp="streams")
        x.inspect(c)


@scenario("more.env-inside")
def _(x):
    """the environment and the hostname as seen inside"""
    for n, kw in enumerate(({"Env": ["A=1", "A=2"]}, {"Env": ["PATH=/bin"]}, {"Env": ["HOME=/x"]}, {"Env": ["NOEQ"]}, {"Env": ["=x"]}, {"Env": ["A="]}, {"Env": []}, {"Hostname": "h.example.com"},
                            {"Hostname": "h", "Domainname": "d.com"}, {"Env": ["HOSTNAME=zz"]}, {"Env": ["TERM=foo"], "Tty": True}, {"User": "daemon"}, {"Domainname": "only.dom"}, {"Env": ["A=B=C", "E=x y"]})):
        c = x.create("env | grep -v HOSTNAME=[0-9a-f]* | sort; hostname | grep -v '^[0-9a-f]*$'; grep -v '^fe\\|^ff\\|^::' /etc/hosts | sed 's/^[0-9.]*//' | grep -v '\t[0-9a-f]\\{12\\}$'", bind="v%d" % n, **kw)
        x.start(c)
        x.wait(c)
        x.logs(c, cmp="streams")


@scenario("more.create-oddities")
def _(x):
    """config fields of odd forms"""
    for n, extra in enumerate(({"Image": "busybox:latest"}, {"Image": ""}, {"Image": "Busybox"}, {"Image": "busybox:"}, {"Image": "busybox@sha256:x"}, {"Image": "bus ybox"}, {"Cmd": []}, {"Cmd": [""]}, {"Cmd": ["a", None]},
                               {"Cmd": [1]}, {"Env": None}, {"Env": [""]}, {"ExposedPorts": {"80": {}}}, {"ExposedPorts": {"banana": {}}}, {"ExposedPorts": {"80/sctp": {}}}, {"ExposedPorts": {"70000/tcp": {}}}, {"ExposedPorts": {"80-82/tcp": {}}},
                               {"ExposedPorts": {"80/TCP": {}}}, {"PortSpecs": ["80"]}, {"PortSpecs": ["8080:80"]}, {"PortSpecs": ["x"]}, {"PortSpecs": ["127.0.0.1:8080:80/udp"]}, {"PortSpecs": []}, {"Memory": 1.5}, {"Memory": "x"},
                               {"CpuShares": 1}, {"Cpuset": "0-1"}, {"Cpuset": "99"}, {"Cpuset": "x"}, {"Volumes": {"rel": {}}}, {"Volumes": {"/a/../b": {}}}, {"Volumes": {}},
                               {"Entrypoint": []}, {"Entrypoint": None}, {"Entrypoint": ""}, {"Entrypoint": [""]}, {"Hostname": "a" * 70}, {"Hostname": "bad host"}, {"Hostname": ""}, {"Tty": None}, {"User": None}, {"Image": None}, {"Env": [1, "A=b"]}, {"Env": {"A": "b"}}, {"CpuShares": 500000}, {"MemorySwap": 5}, {"Image": "Busybox"}, {"StdinOnce": True},
                               {"AttachStdout": True}, {"OnBuild": ["RUN x"]}, {"Labels": {"a": "b"}}, {"MacAddress": "x"}, {"HostConfig": {"Binds": ["/tmp:/x"]}}, {"WorkingDir": "/x/"}, {"SecurityOpt": ["label:disable"]})):
        body = {"Image": "busybox", "Cmd": ["true"]}
        body.update(extra)
        r = x.post("/containers/create", body)
        if r.get("Id"):
            x.inspect(x.bind("o%d" % n, r.get("Id")))


@scenario("more.create-queries")
def _(x):
    """name= twice, empty, in the body, other keys"""
    for n, q in enumerate(("name=", "name=aa&name=bb", "Name=cc", "name=dd&x=1", "name=%2Fee", "name=%2F%2Fff", "name=gg%20", "name=hh/", "name=%00ii", "name=LL", "name=m.m", "name=9n", "name=o--o", "name=p_", "name=%2F")):
        r = x.post("/containers/create?" + q, x.config("true"))
        if r.get("Id"):
            x.inspect(x.bind("q%d" % n, r.get("Id")))


@scenario("more.links")
def _(x):
    """names through links, removal of links"""
    x.running(bind="c1", name="db2", ExposedPorts={"80/tcp": {}})
    c = x.create("sleep 60", bind="c2", name="app2")
    x.start(c, {"Links": ["/db2:other"]})
    x.inspect("app2")
    x.post("/containers/app2/stop?t=0")
    d = x.create("sleep 60", bind="c3", name="app3")
    x.start(d, {"Links": ["db2:database", "/db2:other"]})
    x.inspect("app3/database")
    x.inspect("/app3/other")
    x.get("/containers/json?all=1", cmp="unordered")
    x.delete("/containers/app3/database?link=1")
    x.delete("/containers/app3/database?link=1")
    x.delete("/containers/app3?link=1")
    x.delete("/containers/nosuch/x?link=1")
    x.get("/containers/json?all=1", cmp="unordered")
    x.delete("/containers/db2?force=1")
    x.inspect("app3/other")
    x.get("/containers/json?all=1", cmp="unordered")


@scenario("more.remove-queries")
def _(x):
    """remove with odd queries and of a paused one"""
    c = x.running(["sleep", "60"], bind="c1")
    x.post("/containers/%s/pause" % c)
    x.delete("/containers/%s" % c)
    x.post("/containers/%s/unpause" % c)
    for n, q in enumerate(("v=banana", "v=true&force=true", "link=banana", "force=True", "force", "kill=1", "stop=1")):
        c = x.create("true", bind="r%d" % n)
        x.delete("/containers/%s?%s" % (c, q))
        x.inspect(c, cmp="status")
    for n, q in enumerate(("force=True", "force", "kill=1", "stop=1", "force=yes", "force=on")):
        c = x.running(["sleep", "60"], bind="t%d" % n)
        x.delete("/containers/%s?%s" % (c, q))


@scenario("more.top")
def _(x):
    """top: ps_args of many forms"""
    c = x.running(["sleep", "60"], bind="c1")
    for a in ("", "aux", "-ef", "-o%20pid", "-o%20pid,cmd", "banana", "-o%20nosuch", "-o%20cmd", "axo%20pid,user", "--nosuch"):
        x.get("/containers/%s/top?ps_args=%s" % (c, a), cmp="status")
    x.post("/containers/%s/pause" % c)
    x.get("/containers/%s/top" % c, cmp="status")
    x.get("/containers/nosuch/top?ps_args=aux")


@scenario("more.logs-follow")
def _(x):
    """follow with tail, timestamps, one stream only; killed; removed"""
    c = x.create("for i in 1 2 3; do echo e$i >&2; done; sleep 0.3; for i in 1 2 3; do echo l$i; done; sleep 2; echo late; echo elate >&2", bind="c1")
    x.start(c)
    x.until_logged(c, "l3"); x.until_logged(c, "e3")
    s1 = x.open("GET", "/containers/%s/logs?stdout=1&follow=1&tail=1" % c)
    s2 = x.open("GET", "/containers/%s/logs?stderr=1&follow=1&timestamps=1&tail=0" % c)
    s1.read_end(8)
    s2.read_end(8)
    d = x.running("echo one; sleep 60", bind="c2")
    x.until_logged(d, "one")
    s = x.open("GET", "/containers/%s/logs?stdout=1&follow=1" % d)
    s.expect("one")
    x.delete("/containers/%s?force=1" % d)
    s.read_end(5)


@scenario("more.attach")
def _(x):
    """attach: queries of many forms to one that runs"""
    for n, q in enumerate(("stream=true&stdout=True", "stream=0&logs=0&stdout=1", "logs=1", "logs=1&stdout=1", "logs=1&stderr=1&stream=1", "stdin=1&stdout=1&stream=1", "stream=banana&stderr=banana", "stream=1&stdin=1", "logs=1&stream=1&stdout=1&stderr=1&stdin=1")):
        c = x.create("echo o; echo e >&2; sleep 0.4; echo o2; echo e2 >&2; sleep 0.2", bind="a%d" % n)
        x.start(c)
        x.until_logged(c, "o"); x.until_logged(c, "e")
        a = x.attach(c, q, cmp="streams")
        a.read_end(3)


@scenario("more.attach-stdin")
def _(x):
    """StdinOnce off: a client that leaves does not end it; the next goes on; input to one without stdin"""
    c = x.create(["cat"], OpenStdin=True, bind="c1")
    x.start(c)
    a = x.attach(c)
    a.send(b"one\n"); a.expect("one"); a.half_close(); a.read_end(2)
    b = x.attach(c)
    b.send(b"two\n"); b.expect("two"); b.close()
    x.inspect(c, cmp="state")
    x.post("/containers/%s/kill" % c)
    d = x.create("sleep 0.5; echo end", bind="c2")
    x.start(d)
    a = x.attach(d)
    a.send(b"ignored\n")
    a.read_end(4)


@scenario("more.attach-tty")
def _(x):
    """terminals: control characters, sizes, end of input, two attached"""
    c = x.create(["sh", "-c", "stty -echo; echo ready; cat"], Tty=True, OpenStdin=True, bind="c1")
    x.start(c)
    x.until_logged(c, "ready")
    a = x.attach(c, "stream=1&stdin=1&stdout=1")
    a.send(b"hi\n"); a.expect("hi")
    a.send(b"\x04"); a.read_end(4)
    d = x.create(["cat"], Tty=True, OpenStdin=True, StdinOnce=True, bind="c2")
    a = x.attach(d)
    x.start(d)
    a.send(b"x\n"); a.expect("x\r\nx")
    a.half_close(); a.read_end(3)
    x.inspect(d, cmp="state")
    e = x.create(["sh", "-c", "echo up; read l"], Tty=True, OpenStdin=True, bind="c3")
    x.start(e)
    x.until_logged(e, "up")
    a = x.attach(e)
    a.send(b"\x03"); a.read_end(4)
    x.wait(e)


@scenario("more.ws")
def _(x):
    """attach/ws: binary frames, close frame, tty, stdin closing, ping"""
    c = x.create("cat", OpenStdin=True, StdinOnce=True, bind="c1")
    x.start(c)
    w = x.ws(c, "stream=1&stdin=1&stdout=1&stderr=1")
    if w.status == 101:
        w.send(ws_frame(b"text\n")); w.expect("text")
        w.send(ws_frame(b"bin\n", 2)); w.expect("bin")
        w.send(ws_frame(b"", 8)); w.read_end(4)
    x.sleep(0.3)
    x.inspect(c, cmp="state")
    d = x.create("echo o; echo e >&2; sleep 0.5; printf 'caf\\303\\251'", bind="c2")
    w = x.ws(d, "stream=1&stdout=1&stderr=1", cmp="streams")
    x.start(d)
    w.read_end(4)
    w = x.ws(d, "")
    w.read_end(2)
    w = x.ws("nosuch", "stream=1")
    w.read_end(2)


@scenario("more.inspect")
def _(x):
    """inspect: of all states and hostconfigs, by odd names"""
    x.create("true", bind="c1", name="insp1")
    for p in ("insp1", "/insp1", "INSP1", "insp", "%69nsp1", "insp1%20", "nosuch", "insp1/x", "insp1/x/y"):
        x.get("/containers/%s/json" % p)
    x.post("/containers/insp1/json")
    x.get("/containers//json")
    x.get("/containers/insp1/json/x")
    x.get("/containers/insp1/")
    x.get("/containers/insp1")


@scenario("more.hostconfig-start")
def _(x):
    """each field of a HostConfig at start, as inspect gives it back"""
    for n, h in enumerate(({"ContainerIDFile": "x"}, {"Privileged": False}, {"PublishAllPorts": True}, {"Dns": ["9.9.9.9"]}, {"DnsSearch": ["a.b"]}, {"DnsSearch": ["."]}, {"NetworkMode": ""}, {"NetworkMode": "nosuch"}, {"NetworkMode": "container:nosuch"},
                           {"CapAdd": ["net_admin"]}, {"CapDrop": ["ALL"]}, {"CapAdd": ["nosuch"]}, {"CapDrop": ["NET_RAW"], "CapAdd": ["NET_RAW"]}, {"Devices": []}, {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n2", "CgroupPermissions": "r"}]},
                           {"LxcConf": []}, {"LxcConf": [{"Key": "lxc.utsname", "Value": "docker"}]}, {"LxcConf": {"a": "b"}}, {"Binds": None}, {"Links": []}, {"Links": None}, {"VolumesFrom": []}, {"PortBindings": {}}, {"PortBindings": None}, {"PortBindings": {"80/tcp": None}}, {"PortBindings": {"80/tcp": []}},
                           {"RestartPolicy": {}}, {"RestartPolicy": None}, {"Unknown": 1}, {"Memory": 5}, {"ExtraHosts": ["a:1.2.3.4"]}, {"Dns": "x"}, {"Dns": ["banana"]})):
        c = x.create("sleep 60", bind="h%d" % n)
        x.start(c, h)
        x.inspect(c)
        x.post("/containers/%s/kill" % c)


@scenario("more.events")
def _(x):
    """events of images, commits, builds, exports, top, attach"""
    time.sleep(1.1); t0 = int(time.time())
    c = x.create("sleep 0.3", bind="c1", name="evm1")
    x.start(c)
    a = x.attach(c); a.read_end(4)
    x.quiet_call("POST", "/containers/%s/wait" % c)
    x.quiet_call("GET", "/containers/%s/export" % c)
    x.quiet_call("POST", "/commit?container=%s&repo=evc" % c)
    x.quiet_call("POST", "/images/evc/tag?repo=evd")
    x.quiet_call("POST", "/containers/%s/copy" % c, {"Resource": "/etc/passwd"})
    x.quiet_call("POST", "/images/create?fromSrc=-&repo=evimp", None, make_tar({"a": "b"}), TAR)
    x.quiet_call("DELETE", "/images/evd")
    x.quiet_call("DELETE", "/images/evc")
    x.quiet_call("DELETE", "/images/evimp")
    d = x.create(["/nosuch"], bind="c2", name="evm2")
    x.start(d)
    x.quiet_call("DELETE", "/containers/evm2")
    e = x.create("exit 1", bind="c3", name="evm3")
    x.start(e, {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}})
    x.sleep(1)
    x.quiet_call("DELETE", "/containers/evm3?force=1")
    x.get("/events?since=%d&until=%d" % (t0, int(time.time()) + 1), cmp="events", timeout=6)


@scenario("more.events-forms")
def _(x):
    """since, until: odd"""
    for q in ("since=0&until=1", "since=1.5&until=2", "until=1", "since=-1&until=1", "since=&until=1", "filters=%7B%7D&until=1", "filters=x&until=1"):
        x.get("/events?" + q, timeout=2)


@scenario("more.routing")
def _(x):
    """methods and paths"""
    c = x.create("true", name="rt1")
    for m, p in (("GET", "/containers/rt1/start"), ("POST", "/containers/rt1/json"), ("POST", "/containers/rt1/logs"), ("PUT", "/containers/rt1"), ("PATCH", "/containers/json"), ("DELETE", "/images"), ("GET", "/commit"), ("GET", "/auth"), ("POST", "/info"), ("POST", "/version"), ("POST", "/events"), ("GET", "/images/create"), ("POST", "/images/search"),
                 ("GET", "/images/busybox/push"), ("GET", "/images/busybox"), ("GET", "/images//json"), ("DELETE", "/containers//"), ("HEAD", "/containers/json"), ("HEAD", "/version"), ("OPTIONS", "/"), ("GET", "/containers/rt1/exec"), ("POST", "/containers/rt1/exec"), ("POST", "/exec/x/start"), ("GET", "/exec/x/json"), ("GET", "/networks"), ("GET", "/volumes"), ("POST", "/containers/rt1/rename?name=x"),
                 ("GET", "/containers/rt1/stats"), ("GET", "/containers/rt1/archive?path=/"), ("PUT", "/containers/rt1/archive?path=/"), ("POST", "/containers/rt1/update"), ("POST", "/containers/prune"), ("GET", "/images/get?names=busybox"), ("GET", "/system/df"), ("GET", "/swarm"), ("POST", "/session"), ("GET", "/distribution/busybox/json"), ("TRACE", "/_ping"), ("POST", "/_ping"), ("GET", "/containers/rt1/wait"), ("GET", "/containers/rt1/attach")):
        x.req(m, p)


@scenario("more.list")
def _(x):
    """list with odd numbers, size, since with limit"""
    for n in (1, 2, 3):
        x.create("true", bind="c%d" % n, name="ls%d" % n); x.sleep(1.05)
    for q in ("limit=1.5", "limit=", "limit=%2B1", "limit=00002", "limit=99999999999999999999", "since=", "before=", "since=/ls1", "since=ls", "before=ls3&limit=1", "since=ls3&before=ls1", "limit=1&all=0", "limit=0&all=1", "n=1", "since=ls1&all=0", "filters=", "filters=%7B%22exited%22%3A%5B%5D%7D", "filters=%7B%22exited%22%3Anull%7D", "filters=%7B%22name%22%3A%5B%22ls1%22%5D%7D", "filters=%7B%22exited%22%3A%5B%22-1%22%5D%7D"):
        x.get("/containers/json?" + q)
