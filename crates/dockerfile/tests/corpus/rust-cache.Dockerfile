FROM rust:1 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target \
    cargo build --release && cp target/release/app /app
FROM debian:stable-slim
COPY --from=build /app /usr/local/bin/
