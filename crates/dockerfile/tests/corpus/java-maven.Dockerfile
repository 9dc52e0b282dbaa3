FROM maven:3.9-eclipse-temurin-21 AS build
COPY pom.xml /build/
WORKDIR /build
RUN mvn -B dependency:go-offline
COPY src /build/src
RUN mvn -B package -DskipTests
FROM eclipse-temurin:21-jre
COPY --from=build /build/target/*.jar /app.jar
ENTRYPOINT ["java", "-XX:MaxRAMPercentage=75", "-jar", "/app.jar"]
