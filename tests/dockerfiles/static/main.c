#include <stdio.h>

const char *greeting(void);

int main(int count, char **words) {
    printf("%s, %s\n", greeting(), count > 1 ? words[1] : "nobody");
    return 0;
}
