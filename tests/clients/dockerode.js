// dockerode of any age, by callbacks, which all releases have.
const path = require('path');
const modules = process.env.LONGSHORE_MODULES;
const Docker = require(path.join(modules, 'dockerode'));
const tar = require(path.join(modules, 'tar-stream'));
const { PassThrough } = require('stream');

const { LONGSHORE_SOCKET: socketPath, LONGSHORE_REGISTRY: registry, LONGSHORE_NAME: label, LONGSHORE_API: api } = process.env;
const docker = new Docker(api ? { socketPath, version: 'v' + api } : { socketPath });
const repository = `${registry}/${label}`;

const call = (object, method, ...given) => new Promise((resolve, reject) => {
  object[method](...given, (error, ...results) => error ? reject(error) : resolve(results.length > 1 ? results : results[0]));
});
const all = stream => new Promise((resolve, reject) => {
  const pieces = [];
  stream.on('data', piece => pieces.push(piece)).on('error', reject);
  stream.on('end', () => resolve(Buffer.concat(pieces.map(piece => Buffer.from(piece))).toString()));
});
const check = (truth, seen) => { if (!truth) throw new Error('got ' + JSON.stringify(seen)); };
const script = ['sh', '-c', 'echo out; echo err >&2; exit 3'];
const create = options => call(docker, 'createContainer', Object.assign({ Image: 'busybox' }, options));
const streams = stream => {
  const out = new PassThrough(), err = new PassThrough();
  docker.modem.demuxStream(stream, out, err);
  return [out, err];
};
let ran;

const steps = {
  async version() { check((await call(docker, 'version')).Version); },
  async images() {
    const listed = await call(docker, 'listImages');
    check(listed.some(image => (image.RepoTags || []).includes('busybox:latest')), listed);
  },
  async run() {
    ran = await create({ Cmd: script });
    await call(ran, 'start');
    check((await call(ran, 'wait')).StatusCode === 3);
  },
  async logs() {
    if (!ran.logs) return 'the client has no such call';
    const stream = await call(ran, 'logs', { stdout: true, stderr: true, follow: true });
    const text = await all(stream);
    check(text.includes('out\n') && text.includes('err\n'), text);
  },
  async attach() {
    const container = await create({ Cmd: ['cat'], OpenStdin: true, StdinOnce: true, AttachStdin: true });
    const stream = await call(container, 'attach', { stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
    await call(container, 'start');
    const [out] = streams(stream);
    const seen = new Promise(resolve => out.once('data', data => resolve(data.toString())));
    stream.write('typed\n');
    check(await seen === 'typed\n', await seen);
    stream.end();
    await call(container, 'wait');
    await call(container, 'remove');
  },
  async exec() {
    const container = await create({ Cmd: ['sleep', '1000'] });
    await call(container, 'start');
    if (!container.exec) return 'the client has no such call';
    const exec = await call(container, 'exec', { Cmd: ['echo', 'inside'], AttachStdout: true, AttachStderr: true });
    const text = await all(await call(exec, 'start', {}));
    check(text.includes('inside\n'), text);
    await call(container, 'remove', { force: true });
  },
  async wait() {
    const container = await create({ Cmd: ['sh', '-c', 'sleep 0.3; exit 7'] });
    await call(container, 'start');
    check((await call(container, 'wait')).StatusCode === 7);
    await call(container, 'remove');
  },
  async inspect() {
    const shown = await call(ran, 'inspect');
    check(shown.State.ExitCode === 3 && shown.Config.Cmd.join() === script.join(), shown);
  },
  async build() {
    const pack = tar.pack();
    pack.entry({ name: 'Dockerfile' }, 'FROM busybox\nRUN echo built > /built\nCMD ["cat", "/built"]\n');
    pack.finalize();
    const text = await all(await call(docker, 'buildImage', pack, { t: label }));
    check(text.includes('Successfully built'), text);
  },
  async tag() {
    // Releases before 2.0 take 201, which every daemon answers here, for an error.
    await call(docker.getImage(label), 'tag', { repo: repository, tag: 'latest' })
      .catch(error => check(error.statusCode === 201, error));
    check((await call(docker.getImage(repository), 'inspect')).Id);
  },
  async push() {
    const given = [{ tag: 'latest' }];
    const text = await all(await call(docker.getImage(repository), 'push', ...given));
    check(!text.includes('"error"'), text);
  },
  async pull() {
    await call(docker.getImage(repository), 'remove');
    await call(docker.getImage(label), 'remove');
    const text = await all(await call(docker, 'pull', repository + ':latest', {}));
    check(!text.includes('"error"') && (await call(docker.getImage(repository), 'inspect')).Id, text);
  },
  async events() {
    const stream = await call(docker, 'getEvents', {});
    const seen = new Promise((resolve, reject) => {
      stream.on('data', data => data.toString().includes('"start"') && resolve());
      setTimeout(() => reject(new Error('no event')), 10000).unref();
    });
    const container = await create({ Cmd: ['true'] });
    await call(container, 'start');
    await seen;
    stream.destroy();
    await call(container, 'wait');
    await call(container, 'remove');
  },
  async remove() {
    await call(ran, 'remove');
    await call(docker.getImage(repository), 'remove');
    await call(ran, 'inspect').then(shown => check(false, shown), error => check(error.statusCode === 404, error));
  },
};

(async () => {
  console.log('api', api || 'none in the path');
  for (const [name, work] of Object.entries(steps)) {
    const limit = new Promise((_, reject) => setTimeout(() => reject(new Error('took too long')), 20000).unref());
    try {
      const missing = await Promise.race([work(), limit]);
      console.log(missing ? `${name} none ${missing}` : `${name} ok`);
    } catch (error) {
      console.log(`${name} red ${String(error && error.message || error).replace(/\s+/g, ' ')}`);
    }
  }
  process.exit(0);
})();
