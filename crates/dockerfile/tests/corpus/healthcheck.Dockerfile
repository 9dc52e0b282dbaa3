FROM nginx
HEALTHCHECK --interval=5m --timeout=3s --retries=2 \
  CMD curl -f http://localhost/ || exit 1
HEALTHCHECK NONE
