FROM alpine
RUN <<EOT bash
  set -ex
  apt-get update
  # no comment of the Dockerfile
EOT
CMD ["x"]
