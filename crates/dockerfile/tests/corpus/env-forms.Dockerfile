FROM alpine
ENV A=1 B="two words" C=three\ words
ENV D four five
ENV E=$A F=${B:-none} G=\$A
LABEL a=b "c d"="e f" g='h i'
