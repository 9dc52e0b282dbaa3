FROM alpine
RUN echo b\
 c
RUN echo d \ 
 e
RUN echo "f\
 g"
