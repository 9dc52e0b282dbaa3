FROM alpine
COPY --parents --exclude=*.md --exclude=**/test src/ docs/ /app/
