"""docker (the Python package) 2 to 7. Python 3."""
import io
import time

import docker

from steps import API, DOCKERFILE, NAME, REGISTRY, SCRIPT, SOCKET, step, within

REPOSITORY = f'{REGISTRY}/{NAME}'


def connect():
    options = {'version': API} if API else {}
    return docker.DockerClient(base_url='unix://' + SOCKET, **options)


client = connect()
print('api', client.api._version)
ran = []


def version():
    assert client.ping() and client.version()['Version']


def images():
    assert 'busybox:latest' in client.images.get('busybox').tags
    assert any('busybox:latest' in image.tags for image in client.images.list())


def code(waited):
    return waited['StatusCode'] if isinstance(waited, dict) else waited


def run():
    assert client.containers.run('busybox', ['echo', 'hello'], remove=True) == b'hello\n'
    try:
        client.containers.run('busybox', SCRIPT, remove=True)
        raise AssertionError('no error')
    except docker.errors.ContainerError as error:
        assert error.exit_status == 3
    container = client.containers.run('busybox', SCRIPT, detach=True)
    assert code(container.wait()) == 3
    ran.append(container)


def logs():
    assert ran[0].logs(stdout=True, stderr=False) == b'out\n'
    assert ran[0].logs(stdout=False, stderr=True) == b'err\n'
    assert b''.join(ran[0].logs(stream=True)).count(b'\n') == 2


def attach():
    container = client.containers.create('busybox', ['cat'], stdin_open=True)
    stream = container.attach_socket(params={'stdin': 1, 'stdout': 1, 'stream': 1})
    container.start()
    stream = getattr(stream, '_sock', stream)
    stream.send(b'typed\n')
    seen = b''
    while b'typed' not in seen:
        piece = stream.recv(64)
        assert piece, seen
        seen += piece
    container.remove(force=True)


def execute():
    container = client.containers.run('busybox', ['sleep', '1000'], detach=True)
    # The package's release 3 began to return the exit code as well.
    result = container.exec_run(['sh', '-c', 'echo inside; exit 5'])
    output = result if isinstance(result, bytes) else result[1]
    assert output == b'inside\n', output
    assert isinstance(result, bytes) or result[0] == 5, result
    container.remove(force=True)


def wait():
    container = client.containers.run('busybox', ['sh', '-c', 'sleep 0.3; exit 7'], detach=True)
    assert code(container.wait()) == 7
    container.remove()


def inspect():
    container = client.containers.get(ran[0].id)
    assert container.attrs['State']['ExitCode'] == 3 and container.attrs['Config']['Cmd'] == SCRIPT
    assert container.status == 'exited'


def build():
    built = client.images.build(fileobj=io.BytesIO(DOCKERFILE), tag=REPOSITORY, rm=True)
    image = built[0] if isinstance(built, tuple) else built
    assert client.containers.run(image.id, remove=True) == b'built\n'


def tag():
    assert client.images.get(REPOSITORY).tag(REPOSITORY, 'second')
    assert f'{REPOSITORY}:second' in client.images.get(REPOSITORY).tags


def push():
    told = client.images.push(REPOSITORY, tag='second')
    assert 'digest' in told and '"error"' not in told, told


def pull():
    for name in ('latest', 'second'):
        client.images.remove(f'{REPOSITORY}:{name}', force=True)
    pulled = client.images.pull(REPOSITORY, tag='second')
    assert pulled and client.images.get(f'{REPOSITORY}:second')
    assert client.containers.run(f'{REPOSITORY}:second', remove=True) == b'built\n'


def events():
    def first_start():
        for event in connect().events(decode=True):
            if event.get('status') == 'start':
                return True
    _, result = within(10, first_start)
    time.sleep(0.5)
    client.containers.run('busybox', ['true'], remove=True)
    assert result(), 'no event'


def remove():
    ran[0].remove()
    client.images.remove(f'{REPOSITORY}:second', force=True)
    try:
        client.containers.get(ran[0].id)
        raise AssertionError('it is still there')
    except docker.errors.NotFound:
        pass


for name, work in [('version', version), ('images', images), ('run', run), ('logs', logs), ('attach', attach), ('exec', execute),
                   ('wait', wait), ('inspect', inspect), ('build', build), ('tag', tag), ('push', push), ('pull', pull),
                   ('events', events), ('remove', remove)]:
    step(name, work)
