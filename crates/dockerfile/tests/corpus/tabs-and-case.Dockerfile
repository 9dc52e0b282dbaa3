from alpine as base
	run echo a
 Run  echo   b
cOpY	a	b
FROM base
workdir	/x
