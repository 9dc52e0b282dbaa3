FROM alpine
RUN cat <<< "text"
RUN a 2>&1 <in >out
RUN echo $((1<<2))x
