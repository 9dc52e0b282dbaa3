"""docker-py 0.1 to 1.10, by the calls that each release has. Python 2.7."""
from __future__ import print_function
import inspect
import io
import json
import re
import time

import docker
import pkg_resources

from steps import API, DOCKERFILE, Missing, NAME, REGISTRY, SCRIPT, SOCKET, TCP, step, within

RELEASE = tuple(int(part) for part in re.findall(r'\d+', pkg_resources.get_distribution('docker-py').version)[:3])
BASE = 'http://' + TCP if RELEASE < (0, 5) else 'http+unix://' + SOCKET


def connect():
    options = {'base_url': BASE}
    if API:
        options['version'] = API
    return docker.Client(**options)


client = connect()
api = tuple(int(part) for part in client._version.split('.'))
print('api', client._version)


def takes(call, name):
    return name in inspect.getargspec(call).args


def options(call, **wanted):
    """Those of the arguments that a call of this release takes."""
    return {name: value for name, value in wanted.items() if takes(call, name)}


def create(command, **more):
    return client.create_container('busybox', command, **more)['Id']


def text(output):
    """The text of what a call of any age returns."""
    if isinstance(output, tuple):
        output = output[1]
    if isinstance(output, dict):
        return json.dumps(output)
    if hasattr(output, 'decode') or hasattr(output, 'encode'):
        return output
    return ''.join(text(piece) for piece in output)


def version():
    assert client.version()['Version']


def images():
    listed = client.images()
    assert any(row.get('Repository') == 'busybox' or 'busybox:latest' in row.get('RepoTags', []) for row in listed), listed


ran = []


def run():
    container = create(SCRIPT)
    ran.append(container)
    client.start(container)
    assert client.wait(container) == 3
    if RELEASE < (0, 3):
        output = text(client.logs(container))
    elif RELEASE < (1, 2):
        output = text(client.attach(container, logs=True))
    else:
        # These ask for an upgrade, and read what follows only as a stream.
        output = text(client.attach(container, logs=True, stream=True))
    assert 'out' in output and 'err' in output, repr(output)


def logs():
    output = text(client.logs(ran[0]))
    assert 'out\n' in output and 'err\n' in output, repr(output)


def attach():
    if not hasattr(client, 'attach_socket'):
        container = create(['sh', '-c', 'sleep 1; echo late'])
        client.start(container)
        assert b'late' in b''.join(client.attach(container))
        return client.remove_container(container)
    container = create(['cat'], stdin_open=True)
    stream = client.attach_socket(container, params={'stdin': 1, 'stdout': 1, 'stderr': 1, 'stream': 1})
    client.start(container)
    stream = getattr(stream, '_sock', stream)
    stream.send(b'typed\n')
    seen = b''
    while b'typed' not in seen:
        piece = stream.recv(64)
        assert piece, seen
        seen += piece
    client.kill(container)
    client.wait(container)
    client.remove_container(container)


def execute():
    if api < (1, 15) or not hasattr(client, 'exec_create') and not hasattr(client, 'execute'):
        raise Missing('exec came with 1.15')
    container = create(['sleep', '1000'])
    client.start(container)
    if hasattr(client, 'exec_create'):
        output = text(client.exec_start(client.exec_create(container, 'echo inside')))
    else:
        output = text(client.execute(container, 'echo inside'))
    assert 'inside' in output, repr(output)
    client.kill(container)
    client.wait(container)
    client.remove_container(container)


def wait():
    container = create(['sh', '-c', 'sleep 0.3; exit 7'])
    client.start(container)
    assert client.wait(container) == 7
    client.remove_container(container)


def inspect_all():
    shown = client.inspect_container(ran[0])
    assert (shown.get('ID') or shown['Id']).startswith(ran[0]), shown
    assert shown['State']['ExitCode'] == 3 and shown['Config']['Cmd'] == SCRIPT, shown
    image = client.inspect_image('busybox')
    assert image.get('id') or image['Id'], image


built = []


def build():
    if RELEASE < (0, 2):
        from StringIO import StringIO
        dockerfile = StringIO(DOCKERFILE)
    else:
        dockerfile = io.BytesIO(DOCKERFILE)
    name = NAME + '-built'
    answer = client.build(fileobj=dockerfile, tag=name, **options(client.build, pull=False, rm=True))
    found = answer[0] if isinstance(answer, tuple) else re.findall('Successfully built ([0-9a-f]+)', text(answer))[-1]
    assert found, answer
    built.append(found)
    container = client.create_container(found, None if RELEASE >= (0, 2) else ['cat', '/built'])['Id']
    client.start(container)
    assert client.wait(container) == 0
    assert 'built' in text(client.logs(container))
    client.remove_container(container)


def tag():
    client.tag(built[0], '%s/%s' % (REGISTRY, NAME), 'latest')
    listed = json.dumps(client.images())
    assert '%s/%s' % (REGISTRY, NAME) in listed, listed


def push():
    told = text(client.push('%s/%s' % (REGISTRY, NAME), **options(client.push, insecure_registry=True)))
    assert 'error' not in told.lower() and told, told


def remove_image():
    client.remove_image('%s/%s' % (REGISTRY, NAME) + ':latest')


def pull():
    remove_image()
    repository = '%s/%s' % (REGISTRY, NAME)
    more = options(client.pull, insecure_registry=True)
    # Releases before 0.2 took the port for a tag, unless there was one.
    told = text(client.pull(repository + ':latest') if RELEASE < (0, 2) else client.pull(repository, tag='latest', **more))
    assert 'error' not in told.lower(), told
    assert client.inspect_image(repository)


def events():
    if not hasattr(client, 'events'):
        raise Missing('the client has no such call')
    other = connect()

    def first_start():
        for event in other.events():
            if 'start' in text(event):
                return True
    thread, result = within(10, first_start)
    time.sleep(0.5)
    container = create(['sleep', '0.5'])
    # Releases before 0.3 lose an event that comes in one piece with another.
    time.sleep(0.3)
    client.start(container)
    assert result(), 'no event'
    client.wait(container)
    client.remove_container(container)


def remove():
    client.remove_container(ran[0])
    client.remove_image('%s/%s:latest' % (REGISTRY, NAME))
    shown = json.dumps(client.containers(all=True))
    assert ran[0] not in shown, shown
    assert NAME + '"' not in json.dumps(client.images())


for name, work in [('version', version), ('images', images), ('run', run), ('logs', logs), ('attach', attach), ('exec', execute),
                   ('wait', wait), ('inspect', inspect_all), ('build', build), ('tag', tag), ('push', push), ('pull', pull),
                   ('events', events), ('remove', remove)]:
    step(name, work)
