#include <stdio.h>

int main(void) {
    puts("built with a cache");
    return 0;
}
