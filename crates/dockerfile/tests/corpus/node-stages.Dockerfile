FROM node:20 AS deps
WORKDIR /app
COPY package*.json ./
RUN npm ci --omit=dev && npm cache clean --force

FROM node:20 AS test
WORKDIR /app
COPY --from=deps /app/node_modules ./node_modules
COPY . .
RUN npm test

FROM gcr.io/distroless/nodejs20
COPY --from=deps /app /app
CMD ["/app/server.js"]
