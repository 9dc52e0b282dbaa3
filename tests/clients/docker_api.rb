# The Ruby client, docker-api.
require 'docker'
require 'rubygems/package'
require 'stringio'
require 'timeout'

Docker.url = "unix://#{ENV['LONGSHORE_SOCKET']}"
LABEL = ENV['LONGSHORE_NAME']
REPOSITORY = "#{ENV['LONGSHORE_REGISTRY']}/#{LABEL}"
SCRIPT = ['sh', '-c', 'echo out; echo err >&2; exit 3']

def check(truth, seen = nil)
  raise "got #{seen.inspect}" unless truth
end

def create(options)
  Docker::Container.create({ 'Image' => 'busybox' }.merge(options))
end

STEPS = {
  'version' => -> { check Docker.version['Version'] },
  'images' => -> { check Docker::Image.all.any? { |image| image.info['RepoTags'].include?('busybox:latest') } },
  'run' => lambda {
    $ran = create('Cmd' => SCRIPT)
    $ran.start
    check $ran.wait['StatusCode'] == 3
  },
  'logs' => lambda {
    text = $ran.logs(stdout: true, stderr: true)
    check text.include?("out\n") && text.include?("err\n"), text
  },
  'attach' => lambda {
    container = create('Cmd' => ['cat'], 'OpenStdin' => true, 'StdinOnce' => true)
    container.start
    out, = container.attach(stdin: StringIO.new("typed\n"))
    check out.join == "typed\n", out
    container.delete(force: true)
  },
  'exec' => lambda {
    container = create('Cmd' => ['sleep', '1000']).start
    out, _, code = container.exec(['sh', '-c', 'echo inside; exit 5'])
    check out.join == "inside\n" && code == 5, [out, code]
    container.delete(force: true)
  },
  'wait' => lambda {
    container = create('Cmd' => ['sh', '-c', 'sleep 0.3; exit 7']).start
    check container.wait['StatusCode'] == 7
    container.delete
  },
  'inspect' => -> { check Docker::Container.get($ran.id).info['State']['ExitCode'] == 3 },
  'build' => lambda {
    $built = Docker::Image.build("FROM busybox\nRUN echo built > /built\nCMD [\"cat\", \"/built\"]\n")
    check $built.id
  },
  'tag' => lambda {
    $built.tag('repo' => REPOSITORY, 'tag' => 'latest')
    check Docker::Image.exist?("#{REPOSITORY}:latest")
  },
  'push' => -> { Docker::Image.get("#{REPOSITORY}:latest").push },
  'pull' => lambda {
    Docker::Image.get("#{REPOSITORY}:latest").remove(force: true)
    check Docker::Image.create('fromImage' => "#{REPOSITORY}:latest").id
    check Docker::Image.exist?("#{REPOSITORY}:latest")
  },
  'events' => lambda {
    seen = Thread.new do
      catch(:seen) { Docker::Event.stream { |event| throw :seen, true if event.status == 'start' } }
    end
    sleep 0.5
    container = create('Cmd' => ['true']).start
    check seen.join(10)
    container.wait
    container.delete
  },
  'remove' => lambda {
    $ran.delete
    Docker::Image.get("#{REPOSITORY}:latest").remove(force: true)
    begin
      Docker::Container.get($ran.id)
      raise 'it is still there'
    rescue Docker::Error::NotFoundError
      nil
    end
  }
}.freeze

puts 'api none in the path'
STEPS.each do |name, work|
  Timeout.timeout(20) { work.call }
  puts "#{name} ok"
rescue StandardError, Timeout::Error => e
  puts "#{name} red #{e.class} #{e.message}".split.join(' ')
end
