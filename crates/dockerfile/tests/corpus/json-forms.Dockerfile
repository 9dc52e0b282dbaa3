FROM alpine
RUN ["/bin/sh", "-c", "echo hi"]
CMD [ "a" , "b c" ]
ENTRYPOINT ["x"]
VOLUME ["/a", "/b"]
COPY ["a file", "dest dir/"]
ADD ["x", "y", "/z/"]
