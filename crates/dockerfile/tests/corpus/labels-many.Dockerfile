FROM scratch
LABEL org.opencontainers.image.title="t" \
      org.opencontainers.image.description="a \"quoted\" text" \
      multi="line one \
line two"
