/* Answers each UDP packet to port 9000 with itself: busybox has no UDP server. */
#include <netinet/in.h>
#include <sys/socket.h>

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(9000) }, peer;
	char packet[2048];
	int server = socket(AF_INET, SOCK_DGRAM, 0);

	if (server < 0 || bind(server, (struct sockaddr *)&address, sizeof address) < 0)
		return 1;
	for (;;) {
		socklen_t length = sizeof peer;
		ssize_t count = recvfrom(server, packet, sizeof packet, 0, (struct sockaddr *)&peer, &length);

		if (count >= 0)
			sendto(server, packet, count, 0, (struct sockaddr *)&peer, length);
	}
}
