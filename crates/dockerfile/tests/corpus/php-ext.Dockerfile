FROM php:8.3-apache
RUN docker-php-ext-install -j"$(nproc)" pdo_mysql opcache \
 && a2enmod rewrite headers
COPY --chown=www-data:www-data . /var/www/html
RUN { \
        echo 'opcache.enable=1'; \
        echo 'opcache.memory=128'; \
    } > /usr/local/etc/php/conf.d/opcache.ini
