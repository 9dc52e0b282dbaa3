"""Exchanges of the contract's kind around lists, lives, streams, forms of requests."""
import json
import time

from lib import make_tar, scenario

JSON = [["Content-Type", "application/json"]]
TAR = [["Content-Type", "application/tar"]]


@scenario("forms.bodies")
def _(x):
    """create, start, commit, copy, auth: bodies and types of content"""
    ok = b'{"Image":"busybox","Cmd":["true"]}'
    for n, (h, b) in enumerate(((JSON, b""), (JSON, b"null"), (JSON, b"[]"), (JSON, b"{}"), (JSON, b'"x"'), (JSON, b"1"), (JSON, ok + b"x"), (JSON, ok + ok), (JSON, b"  " + ok), (JSON, ok[:-1]), ([["Content-Type", "application/json; charset=utf-8"]], ok),
                         ([["Content-Type", "APPLICATION/JSON"]], ok), ([["Content-Type", "text/json"]], ok), ([["Content-Type", "application/jsonx"]], ok), ([["Content-Type", " application/json"]], ok), ([["Content-Type", ""]], ok), ([], ok),
                         (JSON, b'{"image":"busybox","cmd":["true"]}'), (JSON, b'{"Image":"busybox","Cmd":"true"}'), (JSON, b'{"Image":"busybox","Cmd":["true"],"Cmd":["false"]}'), (JSON, b'{"Image":"\xff","Cmd":["true"]}'), (JSON, b'\xef\xbb\xbf' + ok))):
        r = x.req("POST", "/containers/create", None, b, h)
        if r.get("Id"):
            x.bind("b%d" % n, r.get("Id"))
    c = x.create("sleep 60", name="bodies", bind="c1")
    for p in ("/containers/bodies/copy", "/commit?container=bodies", "/containers/bodies/start"):
        for h, b in ((JSON, b""), (JSON, b"null"), (JSON, b"[]"), (JSON, b"{"), (JSON, b'"x"'), ([], b"{}"), ([["Content-Type", "text/plain"]], b"{}"), (JSON, b'{"Resource": 5}'), (JSON, b'{"Resource": null}'), (JSON, b'{"resource": "/etc/passwd"}')):
            x.req("POST", p, None, b, h, cmp="status" if "commit" in p else "full")


@scenario("forms.list-queries")
def _(x):
    """limit, since, before, all, size, filters in forms"""
    ids = []
    for n in range(4):
        c = x.create("exit %d" % n, name="lq%d" % n, bind="c%d" % n)
        if n != 2:
            x.quiet_call("POST", "/containers/%s/start" % c)
            x.quiet_call("POST", "/containers/%s/wait" % c)
        ids.append(c)
        time.sleep(1.1)
    r = x.running("sleep 60", name="lqr", bind="r1")
    for q in ("", "all=1", "all=0&limit=2", "limit=1", "limit=-1", "limit=0", "limit=2&all=1", "limit=x", "limit=1.5", "since=lq1", "since=lq1&all=1", "before=lq2", "before=lq2&all=1", "since=lq0&before=lq3", "since=nosuch", "before=nosuch", "since=lq1&limit=1", "before=lq3&limit=1",
              "since=%s" % ids[1][:12], "before=/lq3", "since=", "before=", "size=0", "all=banana", "all=True", "all=none", "all=False", "all=NO",
              "filters=%7B%22exited%22%3A%5B%220%22%5D%7D&all=1", "filters=%7B%22exited%22%3A%5B%221%22%5D%7D", "filters=%7B%22exited%22%3A%5B%220%22%2C%223%22%5D%7D&all=1", "filters=%7B%22exited%22%3A%5B%22-1%22%5D%7D&all=1", "filters=%7B%7D", "filters=", "filters=null", "filters=%7B%22exited%22%3A%5B%5D%7D", "filters=%7B%22status%22%3A%5B%22exited%22%5D%7D&all=1", "filters=%7B%22Exited%22%3A%5B%221%22%5D%7D&all=1", "filters=%7B%22exited%22%3A%5B%22+1%22%5D%7D&all=1"):
        x.get("/containers/json?" + q)


@scenario("forms.lives")
def _(x):
    """what can be done to a container in which state"""
    c = x.create("sleep 60", bind="c1")
    x.post("/containers/%s/pause" % c); x.post("/containers/%s/unpause" % c); x.post("/containers/%s/kill" % c); x.post("/containers/%s/stop?t=1" % c); x.get("/containers/%s/top" % c); x.get("/containers/%s/changes" % c); x.get("/containers/%s/logs?stdout=1" % c)
    x.post("/containers/%s/wait" % c, timeout=3)
    x.delete("/containers/%s" % c)
    d = x.running("sleep 60", bind="c2", name="lives2")
    x.post("/containers/%s/pause" % d)
    for m, p in (("POST", "/start"), ("POST", "/pause"), ("GET", "/changes"), ("GET", "/logs?stdout=1"), ("DELETE", "")):
        x.req(m, p if p.startswith("/commit") else "/containers/%s%s" % (d, p), cmp="status" if p.startswith("/commit") else "full")
        x.inspect(d, cmp="state")
    x.post("/containers/%s/unpause" % d)
    x.post("/containers/%s/unpause" % d)
    x.delete("/containers/%s" % d)
    x.delete("/containers/%s?force=0" % d)
    x.post("/containers/%s/kill" % d)
    x.wait(d)
    for m, p in (("POST", "/pause"), ("POST", "/unpause"), ("POST", "/kill"), ("POST", "/stop"), ("GET", "/top"), ("POST", "/wait")):
        x.req(m, "/containers/%s%s" % (d, p))
    x.delete("/containers/%s?force=1" % d)
    x.get("/containers/%s/json" % d)
    x.delete("/containers/%s" % d)


@scenario("forms.top-args")
def _(x):
    """top: arguments of ps"""
    c = x.running(["sleep", "60"])
    for a in ("", "aux", "-ef", "-o%20pid", "-o%20pid,comm", "-eo%20pid,args", "ax", "banana", "--help", "-Z", "-o", "axo%20pid,user", "%20-ef", "-ef%20", "-e%20-f", "%2Def", "x"):
        x.get("/containers/%s/top?ps_args=%s" % (c, a), cmp="top")
    x.get("/containers/%s/top?ps_args=-ef&ps_args=aux" % c, cmp="top")
    x.get("/containers/%s/top?PS_ARGS=aux" % c, cmp="top")


@scenario("forms.logs")
def _(x):
    """logs: tails, flags, terminals, no line end, empty"""
    c = x.create("echo a; echo b >&2; echo; echo c; echo d", bind="c1")
    x.start(c); x.wait(c)
    for q in ("stdout=1", "stderr=1", "stdout=0&stderr=1", "stdout=True", "stdout=banana", "stdout=1&tail=0", "stdout=1&tail=00", "stdout=1&tail=+1", "stdout=1&tail=%201", "stdout=1&tail=1e1", "stdout=1&tail=999999999999999999999", "stdout=1&tail=ALL", "tail=1", "stdout=1&since=1", "stdout=1&follow=0", "stdout=1&tail=-5", "stdout=none", "stdout=no&stderr=no"):
        x.logs(c, q, cmp="streams" if "stderr" in q else "full")
    t = x.create("echo a; echo b >&2", bind="c2", Tty=True)
    x.start(t); x.wait(t)
    x.sleep(0.3)
    x.logs(t, "stderr=1")
    e = x.create("true", bind="c3")
    x.logs(e, "stdout=1")
    x.get("/containers/nosuch/logs?stdout=1")
    x.get("/containers/nosuch/logs")


@scenario("forms.attach-forms")
def _(x):
    """attach: missing, stopped, queries that say nothing, HTTP/1.0"""
    x.post("/containers/nosuch/attach")
    x.post("/containers/nosuch/attach?stream=1&stdout=1")
    x.get("/containers/nosuch/attach/ws")
    c = x.create("echo o; echo e >&2; exit 3", bind="c1")
    x.start(c); x.wait(c)
    for q in ("", "stdout=1", "logs=1&stdout=1&stderr=1", "logs=1&stderr=1", "logs=0&stdout=1", "logs=banana&stdout=banana"):
        s = x.open("POST", "/containers/%s/attach?%s" % (c, q), kind="hijack", cmp="streams")
        s.read_end(3)
    r = x.running("cat", bind="c2", OpenStdin=True)
    s = x.attach(r, "stream=1&stdin=1&stdout=1")
    s.send(b"line\n"); s.expect("line")
    s.send(b"\x00\xff\n"); s.quiet(0.2)
    s.close()
    x.inspect(r, cmp="state")


@scenario("forms.names")
def _(x):
    """ids and names: short, long, upper case, slashes, escapes"""
    c = x.create("true", name="named", bind="c1")
    for n in (c[:12], c[:4], c + "0", "/named", "%2Fnamed", "//named", "named/", "Named", "name", "nam%65d", "named%20", "named?x=1", "named%3F", "%00", "..", ".", "named%2F", "-", "_"):
        x.get("/containers/%s/json" % n, cmp="status" if n == c[:12] else "full") if n not in (c[:4],) else None
    for n in ("busybox", "busybox:latest", "BUSYBOX", "busybox:", "busybox:Latest", ":latest", "busybox:latest:latest", "/busybox", "busybox/", "busybox@sha256:00", "%20busybox", "localhost:5000/busybox"):
        x.get("/images/%s/json" % n, cmp="shape")
        x.get("/images/%s/history" % n, cmp="shape")


@scenario("forms.images-list")
def _(x):
    """images: filters, flags, tags"""
    x.quiet_call("POST", "/images/create?fromSrc=-&repo=il1", None, make_tar({"a": "b"}), TAR)
    x.quiet_call("POST", "/images/create?fromSrc=-&repo=il2&tag=v1", None, make_tar({"a": "c"}), TAR)
    x.quiet_call("POST", "/images/il1/tag?repo=il3&tag=x")
    x.quiet_call("POST", "/images/create?fromSrc=-", None, make_tar({"a": "d"}), TAR)
    for n in ("il1", "il2:v1"):
        x.image_id("img_" + n[:3], n)
    for q in ("", "all=1", "all=0", "filter=il1", "filter=il*", "filter=nosuch", "filter=il2:v1", "filter=IL1", "filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D", "filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D", "filters=%7B%22dangling%22%3A%5B%22banana%22%5D%7D", "filters=x", "filters=%7B%22label%22%3A%5B%22a%22%5D%7D", "filters=%7B%22dangling%22%3A%5B%221%22%5D%7D&all=1", "filter=il1&all=1", "filter=", "digests=1"):
        x.get("/images/json?" + q, cmp="unordered")


@scenario("forms.tags")
def _(x):
    """tag: repo, tag, force in forms"""
    x.quiet_call("POST", "/images/create?fromSrc=-&repo=tg1", None, make_tar({"a": "b"}), TAR)
    for q in ("", "repo=tg2", "repo=tg2&tag=v1", "repo=tg2", "repo=tg2&force=1", "repo=tg2&force=0", "repo=TG", "repo=a/b/c", "repo=tg:x", "repo=tg&tag=", "repo=tg&tag=a/b", "repo=tg&tag=a%20b", "repo=&tag=x", "repo=%20", "repo=localhost:5000/x&tag=1", "repo=a_b-c.d", "repo=-a", "repo=a--b", "repo=tg3&tag=-x", "repo=tg3&tag=.x", "Repo=tg4", "repo=scratch", "repo=index.docker.io/a", "repo=docker.io/tg"):
        x.post("/images/tg1/tag?" + q)
    x.post("/images/nosuch/tag?repo=x")
    x.post("/images/tg1:nosuch/tag?repo=x")
    x.post("/images/tg1:latest/tag?repo=tg9")
    x.get("/images/json?filter=tg2", cmp="count")


@scenario("forms.http")
def _(x):
    """forms of requests: versions, methods, slashes, heads"""
    for t in ("/version/", "//version", "/./version", "/version?", "/version#x", "/Version", "/containers/json/", "/containers/", "/containers", "/images/", "/", "", "/_ping/", "/_ping?x", "/containers/../version", "/%76ersion", "/version%20", "/info/x", "/build/", "/events/x"):
        x.get(t, timeout=2, cmp="status" if "ersion" in t and "Version" not in t else "full")
    for m in ("PUT", "PATCH", "HEAD", "DELETE", "OPTIONS", "FOO", "get"):
        x.req(m, "/version", cmp="status")
        x.req(m, "/containers/json", cmp="status")
    x.req("GET", "/_ping", None, b"body", [["Content-Type", "text/plain"]])
    x.req("GET", "/_ping", None, b"", [["Connection", "close"]])
    x.req("POST", "/containers/nosuch/start", None, b"", [["Expect", "100-continue"]])
    x.req("GET", "/_ping", None, b"", [["User-Agent", "Docker-Client/0.1"]])
    x.req("GET", "/_ping", None, b"", [["Accept-Encoding", "gzip"]])
    x.req("GET", "/_ping", None, b"", [["Origin", "http://a"]])


@scenario("forms.waits-and-restarts")
def _(x):
    """wait, stop, restart in odd forms"""
    x.post("/containers/nosuch/wait"); x.post("/containers/nosuch/stop?t=1"); x.post("/containers/nosuch/restart?t=1"); x.post("/containers/nosuch/pause"); x.post("/containers/nosuch/unpause"); x.post("/containers/nosuch/kill"); x.post("/containers/nosuch/resize?h=1&w=1"); x.delete("/containers/nosuch"); x.get("/containers/nosuch/top"); x.get("/containers/nosuch/changes"); x.get("/containers/nosuch/export"); x.post("/containers/nosuch/copy", {"Resource": "/"}); x.post("/commit?container=nosuch"); x.post("/commit"); x.delete("/containers/nosuch?link=1"); x.delete("/containers/nosuch?v=1&force=1")
    c = x.running("sleep 60", bind="c1")
    for q in ("t=0", "t=x", "t=", "t=-1", "t=1.5", "T=0", "timeout=0&t=0"):
        if q in ("t=-1",):
            continue
        x.post("/containers/%s/restart?%s" % (c, q if "t=0" in q or q in ("t=x", "t=", "t=1.5") else q + "&t=0"), timeout=20)
        x.inspect(c, cmp="state")
    x.post("/containers/%s/stop?t=x" % c, timeout=20)
    x.inspect(c, cmp="state")
    x.post("/containers/%s/stop?t=0" % c)
    x.post("/containers/%s/restart?t=0" % c)
    x.inspect(c, cmp="state")


@scenario("forms.commit-queries")
def _(x):
    """commit: repo, tag, comment, author, pause, run in forms"""
    c = x.create(["echo", "x"], bind="c1", name="cq", Env=["A=1"], ExposedPorts={"80/tcp": {}}, Volumes={"/v": {}}, WorkingDir="/w", User="daemon", Entrypoint=["/bin/sh"])
    for n, (q, b) in enumerate((("container=cq", None), ("container=cq&repo=cm1", None), ("container=cq&repo=cm1&tag=v2&comment=a%20b&author=me", None), ("container=cq&comment=5", None), ("container=cq&author=%22q%22", None), ("container=cq&repo=CM", None), ("container=cq&repo=cm2&tag=a:b", None), ("container=cq&pause=0", None), ("container=cq&m=x", None),
                                ("container=cq", {"Cmd": ["b"], "Env": ["B=2", "A=9"], "ExposedPorts": {"81/tcp": {}}, "Volumes": {"/u": {}}, "WorkingDir": "/z", "User": "root", "Entrypoint": ["/bin/x"]}), ("container=cq", {"Hostname": "h", "Tty": True, "OnBuild": ["RUN x"], "Image": "zz"}), ("container=cq&run=%7B%22Cmd%22%3A%5B%22z%22%5D%7D", None), ("container=cq", {"Cmd": []}), ("container=cq", {"Entrypoint": []}), ("container=cq&container=nosuch", None), ("Container=cq", None))):
        r = x.post("/commit?" + q, b)
        if r.get("Id"):
            i = x.bind("img_%d" % n, r.get("Id"))
            x.get("/images/%s/json" % i)
