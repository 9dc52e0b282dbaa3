FROM --platform=$BUILDPLATFORM golang AS build
ARG TARGETOS TARGETARCH
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build
FROM --platform=linux/amd64 alpine
COPY --from=0 /x /x
