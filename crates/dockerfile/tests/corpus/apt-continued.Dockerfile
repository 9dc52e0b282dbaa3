FROM debian:bookworm-slim
# what it needs
RUN set -eux; \
    apt-get update; \
    # a comment between
    apt-get install -y --no-install-recommends \
        ca-certificates \
        curl \
    ; \
    rm -rf /var/lib/apt/lists/*
CMD ["bash"]
