FROM alpine
MAINTAINER Some One <a@b.c>
RUN true
