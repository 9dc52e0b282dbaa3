"""Images, builds and files in the odd corners: what Docker 1.2.0 did with other inputs, orders and states."""
import io
import tarfile

from lib import make_tar, scenario

TAR = [["Content-Type", "application/tar"]]
JSON = [["Content-Type", "application/json"]]
FILE, LINK, FOLDER, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE


def build(x, dockerfile, files=None, query="rm=1", cmp="full", body=None):
    members = {} if dockerfile is None else {"Dockerfile": dockerfile}
    members.update(files or {})
    return x.post("/build?" + query, body=make_tar(members) if body is None else body, headers=TAR, timeout=60, cmp=cmp)


def configs(x, prefix, dockerfiles):
    """Builds each, and shows what the image says."""
    for n, d in enumerate(dockerfiles):
        name = "%s%d" % (prefix, n)
        build(x, "FROM busybox\n" + d + "\n", {"f": "x\n"}, query="rm=1&t=" + name, cmp="status")
        x.get("/images/%s/json" % name)


def raw_tar(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, kind, data in members:
            m = tarfile.TarInfo(name)
            m.type, m.mode = kind, 0o644
            if kind == FILE:
                m.size = len(data)
                t.addfile(m, io.BytesIO(data))
            else:
                m.linkname = data.decode()
                t.addfile(m)
    return out.getvalue()


@scenario("build.more.errors")
def _(x):
    """Instructions with wrong arguments, and such as came later."""
    for d in ("FROM\n", "FROM busybox extra\n", "FROM busybox\nMAINTAINER\n", "FROM busybox\nENV A\n", "FROM busybox\nENV A=b\n", "FROM busybox\nENV A b c\n", "FROM busybox\nUSER a b\n", "FROM busybox\nVOLUME []\n", "FROM busybox\nVOLUME [\"\"]\n", "FROM busybox\nCMD\n", "FROM busybox\nADD a\n", "FROM busybox\nCOPY a b c\n", "FROM busybox\nEXPOSE 80 90/udp\n",
              "FROM busybox\nEXPOSE 80/x\n", "FROM busybox\nONBUILD\n", "FROM busybox\nONBUILD FROM x\n", "FROM busybox\nONBUILD ONBUILD RUN x\n", "FROM busybox\nONBUILD BANANA x\n", "FROM busybox\nINSERT a b\n", "FROM busybox\nLABEL a=b\n", "FROM busybox\nARG x\n", "FROM busybox\nHEALTHCHECK NONE\n", "FROM busybox\nRUN --mount=type=bind true\n", "FROM busybox AS x\n",
              "FROM busybox\nFROM busybox\n", "FROM busybox\nRUN [\"/nosuch\"]\n", "FROM busybox\nRUN nosuch\n", "FROM busybox\nRUN [echo, x] 2>/dev/null\n", "FROM busybox\nUSER nosuch\nRUN id\n", "FROM Busybox\n", "\n\n  \nFROM busybox\n", "FROM busybox\n\\\n", "FROM busybox\nRUN true \\", "FROM busybox\nRUN exit 300\n", "FROM busybox\nRUN []\n"):
        build(x, d, {"f": "x\n"})
    for d in ("RUN true", "ENV A b", "ADD f /f", "CMD x", "ONBUILD RUN x", "BANANA x"):
        build(x, d + "\nFROM busybox\n", {"f": "x"})
    for d in ("EXPOSE a", "EXPOSE 70000", "EXPOSE 80-81", "EXPOSE 80/TCP", "EXPOSE :80", "EXPOSE a:80", "EXPOSE 1:2:3:4", "EXPOSE 80 ,81", "EXPOSE x:80:80", "EXPOSE 1.2.3.4:80:81"):
        build(x, "FROM busybox\n" + d + "\n")


@scenario("build.more.lines")
def _(x):
    """Joined lines, comments, case, blanks, documents, directives."""
    for d in ("from busybox\nrUn echo a\n", "  FROM busybox\n  RUN echo a\n", "FROM busybox\n # c\nRUN echo a\n", "FROM busybox\nRUN echo a # c\n", "FROM busybox\r\nRUN echo a \\\r\n && echo b\r\n", "FROM busybox\nRUN echo a \\\n\n\n && echo b\n", "FROM busybox\nRUN echo a \\\n   # c\n && echo b\n", "FROM busybox\nRUN echo a;\\\n\techo b\n", "FROM busybox",
              "FROM\tbusybox\nRUN\techo\ta\n", "FROM busybox\nENV A a \\\n  b\nRUN echo \"$A\"\n", "#c\n#d\n", "FROM  busybox  \n", "FROM busybox:latest\nRUN echo a\\\n"):
        build(x, d)


@scenario("build.more.config")
def _(x):
    """What the image says after each instruction; where variables count; forms of lists."""
    configs(x, "cf", ("ENV A 1\nENV A 2\nENV B $A", "VOLUME /a /b", "VOLUME [\"/a\", \"/b c\"]", "VOLUME [\"/a\" \"/b\"]", "CMD [\"hi\"]\nENTRYPOINT [\"echo\"]", "CMD a\nENTRYPOINT b", "EXPOSE 80\nEXPOSE 81", "ENV A  spaced  value ", "CMD ['a']", "CMD null", "CMD [\"a\", 1]", "CMD [\"a\", null]", "CMD []", "ENTRYPOINT [ ]", "cmd  a   b  ", "CMD a # b",
                      "ENV A 1\nWORKDIR /$A", "ENV A 1\nUSER $A", "ENV A 1\nVOLUME /$A", "ENV A 1\nENV B ${A}x$Ax$C\\$A", "ENV A \"q r\"\nENV B '$A'", "ENV A 1\nENV B $$A", "ENV A 1\nENV $A 2", "ENV A 1\nONBUILD RUN $A", "ENV A 1\nENV B \\\\$A", "WORKDIR /a/", "WORKDIR ..", "WORKDIR /a//b", "WORKDIR /a\nWORKDIR ../b", "WORKDIR /a\nWORKDIR b/"))


@scenario("build.more.places")
def _(x):
    """ADD and COPY to many places, and of what they do not take for more than a name."""
    files = {"f": "one\n", "d/g": "two\n", "d/e/h": "three\n", "a.tar": make_tar({"in": "tar\n"}), "l": ("link", "f"), "x.sh": ("file", 0o755, "#!/bin/sh\necho x\n", 1000, 1000)}
    show = "\nRUN ls -lnd /x /x/* /y /d2 /d2/* /t /t/* /a/b/* /q/* /w /w/* /tt/* /l /l/* /real /real/* 2>/dev/null | sed 's/  *[A-Z][a-z][a-z] [ 0-9]* [0-9:]*  */ /;s/^\\(d[^ ]*\\)  *[0-9]* /\\1 /' || true\n"
    for d in ("ADD f x", "ADD f /a/b/c/", "ADD d /d2", "ADD ../f /x", "ADD nosuch* /x", "ADD f* /x", "ADD f d /x", "ADD a.tar /t", "COPY a.tar /t/", "ADD l /x", "COPY d/e/h /q/", "ADD x.sh /x", "ENV F f\nADD $F /x", "ENV T /tt\nCOPY f $T/x", "WORKDIR /w\nCOPY f sub/", "COPY http://127.0.0.1:9/a /x", "COPY --chown=1:1 f /x", "ADD [\"f\", \"/x\"]", "ADD \"f\" /x",
              "RUN mkdir /real; ln -s /real /l\nADD f /l/", "RUN mkdir -m 700 /x\nADD d /x", "RUN ln -s /y /x; echo old > /y\nCOPY f /x", "ADD f /x y", "RUN mkdir /x\nADD f /x/../y"):
        build(x, "FROM busybox\n" + d + show, files)


@scenario("build.more.inherit")
def _(x):
    """What a child has of its base; triggers that are unknown, fail, or are set in a child."""
    build(x, "FROM busybox\nMAINTAINER m\nENV A 1\nEXPOSE 80\nVOLUME /v\nUSER daemon\nWORKDIR /tmp\nCMD [\"echo\", \"cmd\"]\nENTRYPOINT [\"echo\", \"ep\"]\n", query="rm=1&t=in0")
    for n, d in enumerate(("CMD [\"b\"]", "ENTRYPOINT [\"e\"]", "RUN echo $A; pwd; id -u", "USER root\nRUN id -u", "CMD []", "ENTRYPOINT []", "MAINTAINER n")):
        build(x, "FROM in0\n" + d + "\n", query="rm=1&t=in%d" % (n + 1), cmp="status")
        x.get("/images/in%d/json" % (n + 1))
    build(x, "FROM busybox\nONBUILD BANANA x\nonbuild run echo low\nONBUILD ADD nosuch /x\n", query="rm=1&t=tr0")
    build(x, "FROM tr0\nRUN echo never\n", {"f": "x"})
    build(x, "FROM busybox\nONBUILD ENV A 1\nONBUILD CMD echo hi\nONBUILD  RUN   echo  a\n", query="rm=1&t=tr1")
    build(x, "FROM tr1\n", query="rm=1&t=tr2")
    x.get("/images/tr2/json")


@scenario("build.more.contexts")
def _(x):
    """Archives with odd names, without a Dockerfile, cut off; names for the image."""
    dockerfile = b"FROM busybox\nADD f /f\nRUN cat f\n"
    for members in ([("./Dockerfile", FILE, dockerfile), ("./f", FILE, b"1\n")], [("d", FOLDER, b""), ("d/Dockerfile", FILE, dockerfile)], [("real", FILE, dockerfile), ("f", FILE, b"2\n"), ("Dockerfile", LINK, b"real")], [("dockerfile", FILE, dockerfile), ("f", FILE, b"1\n")], []):
        build(x, None, body=raw_tar(members))
    build(x, None, body=raw_tar([("Dockerfile", FILE, dockerfile), ("f", FILE, b"3\n")]) + b"garbage")
    for q in ("t=", "t=ok:", "t=x:bad%20tag", "t=one&t=two", "t=Bad_U", "t=a/b/c/d:e", "t=:y", "dockerfile=other", "rm=banana"):
        build(x, "FROM busybox\nRUN true\n", query="rm=1&" + q, cmp="status")
    build(x, "FROM busybox\nRUN false\n", query="rm=1&t=failed")
    x.get("/images/json", cmp="unordered")
    build(x, "FROM Bad_U\nRUN echo a\n")


@scenario("images.more.remove")
def _(x):
    """By name, by id, of several repositories; with a container in the way; children and parents."""
    x.build_image("ti", "FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n")
    layers = [h["Id"] for h in x.quiet_call("GET", "/images/ti/history").json() or []]
    x.bind("l0", layers[1])
    i = x.image_id("img_ti", "ti")
    x.delete("/images/%s" % layers[1])
    c = x.post("/containers/create", {"Image": "ti", "Cmd": ["true"]})
    cid = x.bind("c1", c.get("Id"))
    x.delete("/images/ti")
    x.delete("/images/ti?force=1")
    x.get("/images/json", cmp="unordered")
    x.inspect(cid)
    x.delete("/containers/%s" % cid)
    x.post("/images/%s/tag?repo=ti" % i)
    x.post("/images/%s/tag?repo=tj" % i[:12])
    x.delete("/images/%s" % i)
    x.delete("/images/%s?force=1" % i[:12])
    x.get("/images/json?all=1", cmp="unordered")
    x.delete("/images/tj?noprune=1")
    x.get("/images/json?all=1", cmp="unordered")
    for n in ("busybox:nosuch", "", "nosuch?noprune=banana", "%20", "Busybox"):
        x.delete("/images/%s" % n)


@scenario("images.more.running")
def _(x):
    """An image that a running container uses."""
    x.build_image("ru", "FROM busybox\nRUN echo one > /one\n")
    i = x.image_id("img_ru", "ru")
    c = x.bind("c1", x.post("/containers/create", {"Image": "ru", "Cmd": ["sleep", "60"]}).get("Id"))
    x.start(c)
    for n in ("ru", "ru?force=1", i, i + "?force=1"):
        x.delete("/images/%s" % n)
    x.get("/images/json", cmp="unordered")
    x.inspect(c)


@scenario("images.more.names")
def _(x):
    """Names of other registries, of users, in capitals, with blanks; patterns."""
    x.quiet_call("POST", "/images/busybox/tag?repo=reg.x:5000/a/b&tag=v1")
    x.quiet_call("POST", "/images/busybox/tag?repo=user/app")
    for n in ("reg.x:5000/a/b:v1", "reg.x:5000/a/b", "user/app", "USER/app", "app", "busybox:LATEST", "busybox%3Alatest", "user%2Fapp", "latest", "%20busybox"):
        x.get("/images/%s/json" % n)
        x.get("/images/%s/history" % n, cmp="status")
    for q in ("", "filter=user/app", "filter=user/*", "filter=reg.x:5000/a/b", "filter=app", "filter=*", "filter=["):
        x.get("/images/json?" + q, cmp="unordered")
    for n in ("%20", "Busybox", "busybox:x:y"):
        x.get("/images/%s/get" % n)
        x.post("/images/%s/tag?repo=new" % n)
        x.post("/containers/create", {"Image": n.replace("%20", " "), "Cmd": ["true"]})
    for q in ("repo=A_b.c-d", "repo=a&tag=x%20y", "repo=a&tag=x/y", "repo=a&tag=x:y", "repo=%20", "tag=x"):
        x.post("/images/busybox/tag?" + q)


@scenario("images.more.import")
def _(x):
    """Imports of nothing, from nowhere, under odd names."""
    for q in ("", "fromImage=", "fromSrc=-", "fromSrc=ftp://127.0.0.1:9/x"):
        x.post("/images/create?" + q)
    t = raw_tar([("./a", FILE, b"1\n"), ("d", FOLDER, b""), ("d/l", LINK, b"../a"), ("h", HARD, b"a")])
    for q in ("repo=im&tag=1", "repo=im:2", "repo=Im_X", "tag=only", "repo=im&tag=b%20d", "repo=im&tag=a/b", "repo=h:5000/x", "repo=im&message=hello"):
        x.post("/images/create?fromSrc=-&" + q, body=t, headers=TAR)
    x.post("/containers/create", {"Image": "im:1"})
    x.get("/images/im:1/json")
    x.delete("/images/im:1")


@scenario("commit.more")
def _(x):
    """Bodies of many forms, odd names, of a running container and of one that says much."""
    x.start(x.create("echo a > /f; sleep 60", bind="c1", name="com1"))
    x.sleep(0.3)
    for q in ("container=com1&repo=cm&tag=t1&pause=0", "container=com1&repo=Bad_U", "container=com1&repo=cm&tag=b%20d", "container=nosuch", "container=", "", "container=com1&tag=only", "container=com1&repo=a/b/c/d", "container=com1&m=old&comment=new"):
        x.post("/commit?" + q)
    x.post("/commit?container=com1&repo=b1", body="{", headers=JSON)
    x.post("/commit?container=com1&repo=b2", body="null", headers=JSON)
    x.post("/commit?container=com1&repo=b3", body="{}", headers=[["Content-Type", "text/plain"]])
    c = x.post("/containers/create", {"Image": "busybox", "Cmd": ["sh", "-c", "echo a > /f"], "Env": ["A=1", "B=2"], "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "User": "daemon", "WorkingDir": "/tmp", "Hostname": "hh", "Tty": True, "Entrypoint": ["sh", "-c"]})
    cid = x.bind("c2", c.get("Id"))
    for n, b in enumerate(({}, {"Cmd": ["x"]}, {"Entrypoint": ["e"]}, {"Env": ["B=3", "C=4"]}, {"ExposedPorts": {"81/tcp": {}}}, {"Volumes": {"/w": {}}}, {"User": "root", "WorkingDir": "/", "Hostname": "zz"}, {"Cmd": "a b"}, {"Tty": "banana"}, {"OnBuild": ["RUN x"]})):
        x.post("/commit?container=%s&repo=kk%d&author=me&comment=why" % (cid, n), b)
        x.get("/images/kk%d/json" % n)


@scenario("copy.more")
def _(x):
    """Paths of many forms, bodies of many forms."""
    c = x.create("echo one > /f; mkdir -p /d/e '/d/a b'; ln -s /nowhere /dangling; ln -s /f /abs; mkfifo /p; ln -s d /dl; ln -s ../d/e /d/up; touch /.hidden")
    x.start(c); x.wait(c)
    for r in ("/nosuch", "nosuch/deeper", "", "/dangling", "/abs", "../../etc/nosuch", "/p", "/dl", "/dl/", "/dl/e", "/d/.", "//f", "/bin/../f", "/d/a b", "/d/up", "/.hidden", "/d/e/..", "/d/nosuch/..", " /d", "/D"):
        x.post("/containers/%s/copy" % c, {"Resource": r})
    for body, kind in (("{", JSON), ("[]", JSON), ("null", JSON), ('{"Resource":"/f"}', [["Content-Type", "text/plain"]]), ('{"Resource":"/f"}', [])):
        x.post("/containers/%s/copy" % c, body=body, headers=kind)
    for b in ({"Resource": 5}, {"HostPath": "/tmp", "Resource": "/f"}, {"resource": "/f"}):
        x.post("/containers/%s/copy" % c, b)
    x.post("/containers/nosuch/copy", {"Resource": "/f"})
    x.post("/containers/nosuch/copy", {"Resource": ""})


@scenario("changes.more")
def _(x):
    """What is told of directories, links, modes; of a running container."""
    c = x.create("chmod 700 /root; echo x >> /etc/passwd; rm /etc/group; mkdir -p /a/b/c; touch /a/b/c/f; ln -s /a /l; ln /a/b/c/f /a/h; echo t > /tmp/t; rm /tmp/t; echo v > /v/x", Volumes={"/v": {}})
    x.start(c); x.wait(c)
    x.get("/containers/%s/changes" % c, cmp="unordered")
    d = x.running("echo hi > /live; sleep 60", bind="c2")
    x.sleep(0.3)
    x.get("/containers/%s/changes" % d, cmp="unordered")
    x.get("/containers/%s/changes" % x.create("true", bind="never"))


@scenario("auth.more")
def _(x):
    """Bodies that cannot be read, and a server that does not answer."""
    x.post("/auth", {"username": "u", "password": "p", "email": "e", "serveraddress": "127.0.0.1:9"}, timeout=15)
    x.post("/auth", {"username": 1, "serveraddress": "127.0.0.1:9"}, timeout=15)
