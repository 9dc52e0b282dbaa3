FROM alpine
CMD [ \
  "sh", \
  "-c", \
  "echo $HOME" \
]
