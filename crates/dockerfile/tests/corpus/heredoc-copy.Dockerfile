FROM alpine
COPY <<-"A" <<B /dir/
	first $X
A
second $X
B
RUN python3 <<PY
print(1)
PY
