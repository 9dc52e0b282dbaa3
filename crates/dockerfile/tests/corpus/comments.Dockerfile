# top
#  indented text

FROM alpine
  # indented
RUN echo a # b
#end