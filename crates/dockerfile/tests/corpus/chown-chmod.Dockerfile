FROM alpine
COPY --chown=1000:1000 --chmod=0755 a b /c/
ADD --chown=www-data https://example.com/x.tar.gz /x/
COPY --link --from=busybox:1.36 /bin/busybox /bb
