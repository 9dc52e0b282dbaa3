FROM alpine
RUN addgroup -S app && adduser -S -G app app
USER app:app
STOPSIGNAL SIGQUIT
STOPSIGNAL 9
WORKDIR ~
WORKDIR relative/dir
