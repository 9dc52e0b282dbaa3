FROM alpine
RUN echo "a # b" && echo 'c \ d' && printf "%s\n" "$PATH"
RUN test "$(id -u)" = 0 || exit 1
RUN awk '{ print $1 }' /etc/passwd > /x
