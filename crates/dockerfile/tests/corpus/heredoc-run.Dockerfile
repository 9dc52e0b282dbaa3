# syntax=docker/dockerfile:1.4
FROM alpine
RUN <<EOF
apk add curl
echo "done"
EOF
RUN echo after
