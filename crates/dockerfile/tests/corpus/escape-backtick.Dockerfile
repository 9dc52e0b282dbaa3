# escape=`
FROM mcr.microsoft.com/windows/nanoserver
SHELL ["powershell", "-command"]
COPY testfile.txt c:\
RUN dir c:\ `
  /w
