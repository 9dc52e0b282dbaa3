#!/bin/sh
# The docker program, by the classic builder where it still has one.
export DOCKER_HOST="unix://$LONGSHORE_SOCKET" DOCKER_CONFIG="$HOME/.docker" DOCKER_BUILDKIT=0
# Without a file of its own it would read the one of 2013, and complain.
mkdir -p "$DOCKER_CONFIG" && echo '{}' > "$DOCKER_CONFIG/config.json"
[ -z "$LONGSHORE_API" ] || export DOCKER_API_VERSION="$LONGSHORE_API"
image="$LONGSHORE_REGISTRY/$LONGSHORE_NAME"
echo "api $(docker version --format '{{.Client.APIVersion}}')"

step() {
    if why=$("$1_" 2>&1); then echo "$1 ok"; else echo "$1 red $(echo "$why" | tail -n 3 | tr '\n' ' ')"; fi
}
is() { [ "$1" = "$2" ] || { echo "got <$1>, want <$2>"; return 1; }; }

version_() { docker version | grep -q Server; }
images_() { docker images | grep -q '^busybox'; }
run_() {
    is "$(docker run --rm busybox echo hello)" hello || return 1
    docker run --name "$LONGSHORE_NAME" busybox sh -c 'echo out; echo err >&2; exit 3' > /dev/null 2>&1
    is $? 3
}
logs_() { is "$(docker logs "$LONGSHORE_NAME" 2> /dev/null)" out && is "$(docker logs "$LONGSHORE_NAME" 2>&1 > /dev/null)" err; }
attach_() { is "$(echo typed | docker run --rm -i busybox cat)" typed; }
exec_() {
    id=$(docker run -d busybox sleep 1000) || return 1
    is "$(docker exec "$id" echo inside)" inside || return 1
    docker exec "$id" sh -c 'exit 5'; is $? 5 || return 1
    docker rm -f "$id"
}
wait_() {
    id=$(docker run -d busybox sh -c 'sleep 0.3; exit 7') || return 1
    is "$(docker wait "$id")" 7 && docker rm "$id"
}
inspect_() { is "$(docker inspect -f '{{.State.ExitCode}} {{.Config.Image}}' "$LONGSHORE_NAME")" "3 busybox"; }
build_() {
    printf 'FROM busybox\nRUN echo built > /built\nCMD ["cat", "/built"]\n' | docker build -t "$LONGSHORE_NAME" - || return 1
    is "$(docker run --rm "$LONGSHORE_NAME")" built
}
tag_() { docker tag "$LONGSHORE_NAME" "$image" && docker images | grep -q "^$image"; }
push_() { docker push "$image"; }
pull_() { docker rmi -f "$LONGSHORE_NAME" "$image" && docker pull "$image" && is "$(docker run --rm "$image")" built; }
events_() {
    since=$(date +%s)
    docker run --rm busybox true || return 1
    docker events --since "$since" --until "$(($(date +%s) + 1))" | grep -q 'start'
}
remove_() { docker rm "$LONGSHORE_NAME" && docker rmi "$image" && ! docker inspect "$LONGSHORE_NAME"; }

for name in version images run logs attach exec wait inspect build tag push pull events remove; do step "$name"; done
