FROM alpine:${V:-3}
COPY ${A} ${B:+x} $C/ /d-${E}/
USER ${U:-root}
WORKDIR /a/$B/${C}
EXPOSE ${P}
