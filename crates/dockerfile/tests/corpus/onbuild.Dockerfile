FROM ruby:3
ONBUILD COPY Gemfile Gemfile.lock ./
ONBUILD RUN bundle install --jobs 4
onbuild add . /app
